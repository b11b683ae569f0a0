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
		for u := range 8 {
			nibblesOf(to[16*u:], block[at+u/2*32:], u%2*4)
		}
	}
}

// nibblesQ6_K takes units of four bits from Q6_K, where the two nibbles of a byte are two units apart.
func nibblesQ6_K(to, block []byte) {
	for u := range 8 {
		nibblesOf(to[16*u:], block[u/4*64+u%2*32:], u/2%2*4)
	}
}

// nibblesOf makes a unit of a nibble each of 32 bytes.
func nibblesOf(to, from []byte, shift int) {
	const low = 0x0f0f0f0f0f0f0f0f
	for b := 0; b < 16; b += 8 {
		first, second := le.Uint64(from[b:]), le.Uint64(from[b+16:])
		le.PutUint64(to[b:], first>>shift&low|(second>>shift&low)<<4)
	}
}

// nibblesInOrder takes two units of four bits that stand in the order of the columns, the first of two in the high nibble.
func nibblesInOrder(at int) func(to, block []byte) {
	return func(to, block []byte) {
		for u := range 2 {
			from := block[at+16*u:]
			for b := range 16 {
				shift := 4 - b%2*4
				to[16*u+b] = from[b/2]>>shift&15 | from[8+b/2]>>shift&15<<4
			}
		}
	}
}

// quarters takes units of two bits from Q2_K, Q3_K and Q6_K: of 32 bytes, each two bits up are the next unit.
func quarters(at int) func(to, block []byte) {
	return func(to, block []byte) {
		for u := range 8 {
			from := block[at+u/4*32:]
			for g := range 2 {
				var word uint32
				for k := range 4 {
					word |= le.Uint32(from[16*g+4*k:]) >> (u % 4 * 2) & 0x03030303 << (2 * k)
				}
				le.PutUint32(to[8*u+4*g:], word)
			}
		}
	}
}

// singles takes units of one bit from Q3_K and Q5_K: of 32 bytes, each bit up is the next unit.
func singles(at int) func(to, block []byte) {
	return func(to, block []byte) {
		for u := range 8 {
			var word uint32
			for k := range 8 {
				word |= le.Uint32(block[at+4*k:]) >> u & 0x01010101 << k
			}
			le.PutUint32(to[4*u:], word)
		}
	}
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
	for j := range 16 {
		to[j] = (block[96+j%8]>>(j/8*4)&15 | block[104+j%4]>>(j/4*2)&3<<4) - 32
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
