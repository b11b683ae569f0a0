package kernel

import "encoding/binary"

// The functions below take a plane of one block out of the file's block, whose layout package quant describes, and put
// it in the order that storage describes.

var le = binary.LittleEndian

// from takes bytes as they stand.
func from(at int) func(to, block []byte) {
	return func(to, block []byte) { copy(to, block[at:]) }
}

// nibbles takes units of four bits from Q4_K and Q5_K: of 32 bytes, the low nibbles are a unit and the high ones the next.
func nibbles(at int) func(to, block []byte) {
	return func(to, block []byte) {
		for q := range 4 {
			twoUnits(to[32*q:][:16], to[32*q+16:][:16], block[at+32*q:])
		}
	}
}

// nibblesQ6_K takes units of four bits from Q6_K, where the two nibbles of a byte are two units apart.
func nibblesQ6_K(to, block []byte) {
	for q := range 4 {
		twoUnits(to[q/2*64+q%2*16:][:16], to[q/2*64+q%2*16+32:][:16], block[32*q:])
	}
}

// twoUnits makes a unit of the low and one of the high nibbles of 32 bytes.
func twoUnits(low, high, from []byte) {
	const mask = 0x0f0f0f0f0f0f0f0f
	_ = from[31]
	for b := 0; b < 16; b += 8 {
		first, second := le.Uint64(from[b:]), le.Uint64(from[b+16:])
		le.PutUint64(low[b:], first&mask|second&mask<<4)
		le.PutUint64(high[b:], first>>4&mask|second&^mask)
	}
}

// nibblesInOrder takes two units of four bits that stand in the order of the columns, the first of two in the high nibble.
func nibblesInOrder(at int) func(to, block []byte) {
	return func(to, block []byte) {
		for u := range 4 {
			from := block[at+u/2*16+u%2*4:][:12]
			le.PutUint64(to[8*u:], apart(le.Uint32(from))|apart(le.Uint32(from[8:]))<<4)
		}
	}
}

// apart makes bytes of nibbles, of the high one of two first.
func apart(four uint32) uint64 {
	w := uint64(four)
	w = (w | w<<16) & 0x0000ffff0000ffff
	w = (w | w<<8) & 0x00ff00ff00ff00ff
	return w>>4&0x000f000f000f000f | w&0x000f000f000f000f<<8
}

// quarters takes units of two bits from Q2_K, Q3_K and Q6_K: of 32 bytes, each two bits up are the next unit.
func quarters(at int) func(to, block []byte) {
	return func(to, block []byte) {
		for half := range 2 {
			w := words(block[at+32*half:][:32])
			// In each byte, field u of word k becomes field k of word u.
			exchange(&w[0], &w[1], 2, 0x3333333333333333)
			exchange(&w[2], &w[3], 2, 0x3333333333333333)
			exchange(&w[0], &w[2], 4, 0x0f0f0f0f0f0f0f0f)
			exchange(&w[1], &w[3], 4, 0x0f0f0f0f0f0f0f0f)
			for u, word := range w {
				le.PutUint64(to[32*half+8*u:], word)
			}
		}
	}
}

// singles takes units of one bit from Q3_K and Q5_K: of 32 bytes, each bit up is the next unit.
func singles(at int) func(to, block []byte) {
	return func(to, block []byte) {
		w := words(block[at:][:32])
		// As in quarters, of eight words of which two are side by side: the last exchange is between these.
		exchange(&w[0], &w[1], 1, 0x5555555555555555)
		exchange(&w[2], &w[3], 1, 0x5555555555555555)
		exchange(&w[0], &w[2], 2, 0x3333333333333333)
		exchange(&w[1], &w[3], 2, 0x3333333333333333)
		for u, word := range w {
			t := (word>>4 ^ word>>32) & 0x0f0f0f0f
			word ^= t<<4 | t<<32
			le.PutUint32(to[4*u:], uint32(word))
			le.PutUint32(to[16+4*u:], uint32(word>>32))
		}
	}
}

// words are of 32 bytes those 4k … 4k+3, and beside them those 16 on.
func words(from []byte) (w [4]uint64) {
	for k := range w {
		w[k] = uint64(le.Uint32(from[4*k:])) | uint64(le.Uint32(from[16+4*k:]))<<32
	}
	return w
}

// exchange swaps the fields of a that are shift bits above the mask with those of b that are in it: a step of the
// transposition of a matrix of bits (Warren, Hacker's Delight, 7-3).
func exchange(a, b *uint64, shift uint, mask uint64) {
	t := (*a>>shift ^ *b) & mask
	*a ^= t << shift
	*b ^= t
}

// fifthBits takes a unit of one bit from Q5_0 and Q5_1, where they stand in the order of the columns.
func fifthBits(at int) func(to, block []byte) {
	return func(to, block []byte) {
		high, word := le.Uint32(block[at:]), uint32(0)
		for k := range 8 {
			four := high >> (4 * k) & 15
			word |= four * 0x00204081 & 0x01010101 << k // bit n to byte n
		}
		le.PutUint32(to, word)
	}
}

// scalesQ3_K widens six bits less 32 to int8.
func scalesQ3_K(to, block []byte) {
	low, high := le.Uint64(block[96:]), uint64(le.Uint32(block[104:]))
	for half := range 2 {
		top := high&0x03030303 | high>>2&0x03030303<<32
		six := low&0x0f0f0f0f0f0f0f0f | top<<4 ^ 0x2020202020202020 // of two's complement
		sign := six & 0x2020202020202020
		le.PutUint64(to[8*half:], six|sign<<1|sign<<2)
		low, high = low>>4, high>>4
	}
}

// headK puts the scales and minima of Q4_K and Q5_K side by side.
func headK(to, block []byte) {
	copy(to, block[:4])
	six, high := block[4:16], uint32(0)
	for j := range 8 {
		var s, m byte
		if j < 4 {
			s, m = six[j]&63, six[j+4]&63
		} else {
			s, m = six[j+4]&15|six[j-4]>>6<<4, six[j+4]>>4|six[j]>>6<<4
		}
		to[4+j] = s&15 | m<<4
		high |= uint32(s>>4|m>>4<<2) << (4 * j)
	}
	le.PutUint32(to[12:], high)
}
