/* Versions of glibc's symbols that each glibc since 2.17 has: compiled on a new system, the launcher runs on old ones,
 * too; what a program needs then is what the interpreter inside needs. build.py includes this into every file. (Since
 * 2.34 libdl is part of libc; older systems find dlopen in libdl.so.2, which is linked for them.) */
#ifndef STAYON_GLIBC_LINUX_H
#define STAYON_GLIBC_LINUX_H

#if defined(__x86_64__)
#define OLDEST "GLIBC_2.2.5"
#elif defined(__aarch64__)
#define OLDEST "GLIBC_2.17"
#endif

__asm__(".symver dlopen, dlopen@" OLDEST);
__asm__(".symver dlsym, dlsym@" OLDEST);
__asm__(".symver dlerror, dlerror@" OLDEST);
__asm__(".symver __libc_start_main, __libc_start_main@" OLDEST);

#endif
