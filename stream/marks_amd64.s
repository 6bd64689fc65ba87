#include "textflag.h"

// MARK writes the place of the lowest bit of AX to off(DI) and clears the bit.
// If there is none it writes what nobody reads.
#define MARK(off) \
	TZCNTQ AX, BX       \
	ADDQ   R9, BX       \
	MOVW   BX, off(DI)  \
	LEAQ   -1(AX), DX   \
	ANDQ   DX, AX

// func findBlocks(m *marks, p []byte, c byte) int
TEXT ·findBlocks(SB), NOSPLIT, $0-48
	MOVQ    m+0(FP), DI        // where the next place goes
	MOVQ    p_base+8(FP), SI   // the block
	MOVQ    p_len+16(FP), CX   // how many are left
	SHRQ    $6, CX
	MOVBLZX c+32(FP), AX
	MOVQ    DI, R10
	XORQ    R9, R9             // the place at which the block begins
	PXOR    X9, X9             // zero

	// X0: c, 16 times
	MOVQ      AX, X0
	PUNPCKLBW X0, X0
	PSHUFLW   $0, X0, X0
	PSHUFD    $0, X0, X0

block:
	MOVOU   (SI), X1
	MOVOU   16(SI), X2
	MOVOU   32(SI), X3
	MOVOU   48(SI), X4
	PCMPEQB X0, X1
	PCMPEQB X0, X2
	PCMPEQB X0, X3
	PCMPEQB X0, X4

	// AX: a bit for each byte
	PMOVMSKB X1, AX
	PMOVMSKB X2, BX
	PMOVMSKB X3, DX
	PMOVMSKB X4, R8
	SHLQ     $16, BX
	SHLQ     $32, DX
	SHLQ     $48, R8
	ORQ      BX, AX
	ORQ      DX, R8
	ORQ      R8, AX

	// R11: how many are set, which are the bytes that are -1 above
	PADDB  X2, X1
	PADDB  X4, X3
	PADDB  X3, X1
	PXOR   X5, X5
	PSUBB  X1, X5
	PSADBW X9, X5
	PSHUFD $0x4E, X5, X6
	PADDQ  X5, X6
	MOVQ   X6, R11

	MARK(0)
	MARK(2)
	MARK(4)
	MARK(6)
	TESTQ AX, AX
	JNZ   more

next:
	LEAQ (DI)(R11*2), DI
	ADDQ $64, R9
	ADDQ $64, SI
	DECQ CX
	JNZ  block

	SUBQ R10, DI
	SHRQ $1, DI
	MOVQ DI, ret+40(FP)
	RET

more:
	MOVQ DI, R12

another:
	TZCNTQ AX, BX
	ADDQ   R9, BX
	MOVW   BX, 8(R12)
	ADDQ   $2, R12
	LEAQ   -1(AX), DX
	ANDQ   DX, AX
	JNZ    another
	JMP    next
