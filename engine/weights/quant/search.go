package quant

import "math"

// The searches below choose scales that make the sum of squared errors small.
// Float32 products are rounded before they are added, so that the bytes are
// the same on machines that would fuse the two.

// nearest rounds v to an integer from 0 to n, ties to even. Of a NaN it makes
// one.
func nearest(v, n float32) float32 {
	const shift = 3 << 22 // adding it leaves no bits for a fraction
	if v < 0 {
		return 0
	}
	if v > n {
		return n
	}
	return float32(v+shift) - shift
}

// reciprocal is 0 of 0: with a scale of 0 every integer is 0.
func reciprocal(v float32) float32 {
	if v == 0 {
		return 0
	}
	return 1 / v
}

func magnitude(v float32) float32 { return math.Float32frombits(math.Float32bits(v) &^ (1 << 31)) }

// fitLine looks for the scale >= 0 and the minimum with which scale*q - minimum,
// q from 0 to n, is nearest to x. The minimum is not negative unless free.
//
// For each of a number of trial scales, from the one that spans x with from+n
// steps to the one that spans it with to+n, x is rounded to integers, and the
// scale and minimum that fit these best are computed by least squares. The pair
// with the least error, after rounding to its own integers, is taken.
func fitLine(x []float32, n, from, to float32, trials int, free bool) (scale, minimum float32) {
	lo, hi := x[0], x[0]
	for _, v := range x {
		lo, hi = min(lo, v), max(hi, v)
	}
	if lo > 0 && !free {
		lo = 0
	}
	if hi <= lo {
		return 0, -lo
	}
	scale, minimum = (hi-lo)/n, -lo
	least := lineError(x, n, scale, minimum)
	step := (to - from) / float32(trials-1)
	for t := range trials {
		inverse := (n + from + float32(step*float32(t))) / (hi - lo)
		var q1, q2, x1, xq float32 // the sums of q, q*q, x, x*q
		for _, v := range x {
			q := nearest(float32((v-lo)*inverse), n)
			q1 += q
			q2 += float32(q * q)
			x1 += v
			xq += float32(v * q)
		}
		count := float32(len(x))
		s := (float32(count*xq) - float32(x1*q1)) / (float32(count*q2) - float32(q1*q1))
		m := (float32(s*q1) - x1) / count
		if m < 0 && !free {
			s, m = xq/q2, 0
		}
		if !(s > 0) { // all integers are the same
			continue
		}
		if e := lineError(x, n, s, m); e < least {
			least, scale, minimum = e, s, m
		}
	}
	return scale, minimum
}

// lineError is the squared error of rounding x to scale*q - minimum.
func lineError(x []float32, n, scale, minimum float32) float32 {
	inverse, sum := reciprocal(scale), float32(0)
	for _, v := range x {
		e := float32(scale*nearest(float32((v+minimum)*inverse), n)) - minimum - v
		sum += float32(e * e)
	}
	return sum
}

// fitScale looks for the scale, of either sign, with which scale*q, q from -n
// to n-1, is nearest to x. Trial scales put the largest x at -n-1 to -n+1; for
// the integers of each the best scale is that of least squares, which leaves an
// error of sum(x*x) - sum(x*q)^2/sum(q*q).
func fitScale(x []float32, n float32) float32 {
	largest := largest(x)
	if largest == 0 {
		return 0
	}
	scale, most := -largest/n, float32(0)
	for t := range 21 {
		inverse := -(n + float32(t-10)/10) / largest
		var q2, xq float32
		for _, v := range x {
			q := nearest(float32(v*inverse)+n, 2*n-1) - n
			q2 += float32(q * q)
			xq += float32(v * q)
		}
		if gain := float32(xq*xq) / q2; gain > most {
			most, scale = gain, xq/q2
		}
	}
	return scale
}

// scaleError is the squared error of rounding x to scale*q.
func scaleError(x []float32, n, scale float32) float32 {
	inverse, sum := reciprocal(scale), float32(0)
	for _, v := range x {
		e := float32(scale*(nearest(float32(v*inverse)+n, 2*n-1)-n)) - v
		sum += float32(e * e)
	}
	return sum
}

// largest returns the first of the values that are largest without their signs.
func largest(x []float32) float32 {
	var l float32
	for _, v := range x {
		if magnitude(v) > magnitude(l) {
			l = v
		}
	}
	return l
}
