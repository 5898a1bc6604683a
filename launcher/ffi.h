/* C functions for Python, in the module `_stayon`: what `_ctypes` is for, without libffi and what that brings. Numbers
 * and pointers only.
 *
 *   load(name) -> handle              a library; 0 if it can't be had (last_error() says why); Linux: None is itself.
 *                                     Windows: a bare name is looked for in System32 and nowhere else
 *   symbol(handle, name) -> address   AttributeError if there is none
 *   call(address, prototype, *arguments)
 *        prototype: a letter for each argument, ">", a letter for the result or none. I, H, B: 32, 16, 8 bits without a
 *        sign; i: 32 with one; Q: 64 bits; P: an address (int, None, or what has a buffer: its memory); Z: text, as
 *        wchar_t, or None. "!" in front: no other thread runs Python meanwhile. A result P of 0 is None.
 *   last_error() -> int               of this thread's last call: GetLastError, or errno
 *   callback(prototype, function) -> address; release(address)
 *        C may call it from any thread. What function raises is printed, and C gets 0. Released, it does nothing.
 *   peek(address, size) -> bytes · address(buffer) -> int · text(address) -> str, UTF-16 up to its zero
 */
#ifndef STAYON_FFI_H
#define STAYON_FFI_H

#include "python.h"

extern const PyMethodDef FFI_METHODS[];

#endif
