/* SPDX-License-Identifier: Apache-2.0 */
/* context_swap for x86-64 (System V ABI): callee-saved registers and the floating point control
 * words. context_first() in context_switch.c builds the same layout for a new stack. */
#ifdef __x86_64__
	.text
	.globl	context_swap
	.hidden	context_swap
	.type	context_swap, @function
	.p2align 4
context_swap:
	.cfi_startproc
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	subq	$8, %rsp
	stmxcsr	(%rsp)
	fnstcw	4(%rsp)
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	ldmxcsr	(%rsp)
	fldcw	4(%rsp)
	addq	$8, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret
	.cfi_endproc
	.size	context_swap, .-context_swap
#endif
	.section .note.GNU-stack, "", %progbits
