/* SPDX-License-Identifier: Apache-2.0 */
/* context_swap for aarch64 (AAPCS64): x19..x30, d8..d15, fpcr. x29 and x30 lie lowest, like a frame
 * record. context_first() in context_switch.c builds the same layout for a new stack. */
#ifdef __aarch64__
	.text
	.globl	context_swap
	.hidden	context_swap
	.type	context_swap, %function
	.p2align 4
context_swap:
	.cfi_startproc
	sub	sp, sp, #176
	stp	x29, x30, [sp, #0]
	stp	x19, x20, [sp, #16]
	stp	x21, x22, [sp, #32]
	stp	x23, x24, [sp, #48]
	stp	x25, x26, [sp, #64]
	stp	x27, x28, [sp, #80]
	stp	d8, d9, [sp, #96]
	stp	d10, d11, [sp, #112]
	stp	d12, d13, [sp, #128]
	stp	d14, d15, [sp, #144]
	mrs	x9, fpcr
	str	x9, [sp, #160]
	mov	x9, sp
	str	x9, [x0]
	mov	sp, x1
	ldp	x29, x30, [sp, #0]
	ldp	x19, x20, [sp, #16]
	ldp	x21, x22, [sp, #32]
	ldp	x23, x24, [sp, #48]
	ldp	x25, x26, [sp, #64]
	ldp	x27, x28, [sp, #80]
	ldp	d8, d9, [sp, #96]
	ldp	d10, d11, [sp, #112]
	ldp	d12, d13, [sp, #128]
	ldp	d14, d15, [sp, #144]
	ldr	x9, [sp, #160]
	msr	fpcr, x9
	add	sp, sp, #176
	ret
	.cfi_endproc
	.size	context_swap, .-context_swap

/* First return of a new stack: ends the chain of frames, then runs the function in x19. */
	.globl	context_trampoline
	.hidden	context_trampoline
	.type	context_trampoline, %function
context_trampoline:
	.cfi_startproc
	.cfi_undefined x30
	mov	x29, #0
	mov	x30, #0
	br	x19
	.cfi_endproc
	.size	context_trampoline, .-context_trampoline
#endif
	.section .note.GNU-stack, "", %progbits
