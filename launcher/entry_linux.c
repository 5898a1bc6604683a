/* Where the kernel (or ld.so) enters: crt1.o, which usually is there, asks for glibc 2.34. No function of the launcher
 * has to be called before main(), so there are no lists of them. */
int main(int argc, char *argv[]);

#if defined(__x86_64__)
/* System V ABI, AMD64 supplement, 3.4.1: argc at the stack's top, argv above it, in %rdx what is to run at exit. */
__asm__(".text\n.globl _start\n.type _start, @function\n"
        "_start:\n"
        "endbr64\n"
        "xor %ebp, %ebp\n"
        "mov %rdx, %r9\n"
        "pop %rsi\n"
        "mov %rsp, %rdx\n"
        "and $-16, %rsp\n"
        "push %rax\n"
        "push %rsp\n"
        "xor %r8d, %r8d\n"
        "xor %ecx, %ecx\n"
        "lea main(%rip), %rdi\n"
        "call *__libc_start_main@GOTPCREL(%rip)\n"
        "hlt\n");
#elif defined(__aarch64__)
/* System V ABI for the Arm 64-bit architecture: the same, in x0 what is to run at exit. */
__asm__(".text\n.globl _start\n.type _start, %function\n"
        "_start:\n"
        "hint #34\n" /* bti c */
        "mov x29, #0\n"
        "mov x30, #0\n"
        "mov x5, x0\n"
        "ldr x1, [sp]\n"
        "add x2, sp, #8\n"
        "mov x6, sp\n"
        "adrp x0, main\n"
        "add x0, x0, :lo12:main\n"
        "mov x3, #0\n"
        "mov x4, #0\n"
        "bl __libc_start_main\n"
        "brk #1\n");
#endif
