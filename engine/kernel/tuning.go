package kernel

import (
	"fmt"

	"kestrel/engine/vulkan"
	"kestrel/engine/weights"
)

// Tuning is how work is cut for one kind of device. Any values give right results; these give fast ones.
type Tuning struct {
	Local  int                   // lanes that share a weight row in GEMV; at most MaxInvocations
	Rows   int                   // weight rows a GEMV workgroup takes for one token
	Dense  int                   // the same where weights take less than a byte: their shaders are longer; 0: Rows
	RowsOf map[weights.DType]int // the same by storage type, where it was measured
	Groups int                   // GEMV workgroups that keep a device busy: a matrix of too few rows is cut finer; 0: it is not

	ThinRows, ThinTokens int // rows and tokens of GEMV's register tile for several tokens
	TileFrom             int // tokens from which the shared-memory GEMM serves; 0: never
	LaneRows, LaneTokens int // rows and tokens of a lane in the lane-a-row GEMM, which needs subgroups of Local lanes; 0: not used
	PanelsFrom           int // tokens from which that decodes weights into panels first, which needs Address; 0: never

	Fragment     Fragment // of the matrix units; Width 0: not used
	FragmentFrom int      // tokens from which they serve

	Wide    bool // shaders for drivers that run on the CPU: 64-bit loads, weights asked for ahead; needs 64-bit integers
	Address bool // shaders that read through addresses: of few tokens, of the lane-a-row GEMM, convolution and scan; needs Wide, addresses() and subgroups of addressLanes, Local

	AddressRows   int // Rows for these
	AddressTokens int // up to how many tokens GEMV reads weights so; 0: one

	Norm         int  // lanes of the norms
	Conv         int  // lanes of the convolutions
	ConvSpan     int  // tokens a lane of the chunked convolution takes
	ScanChannels int  // channels of one workgroup in a step; 0: a state for each lane
	Scan         int  // lanes of the chunked scan
	ScanLanes    int  // lanes that share a channel in the chunked scan: 1, 2 or 4
	ScanSpan     int  // tokens whose B and C it shares at a time
	Top          int  // lanes of top-k
	Draw         int  // lanes that choose from all logits, arg-max too: one workgroup; 0: Top
	Few          bool // choices from few logits have these sorted out first
}

// rows is how many rows of m a GEMV workgroup takes for one token.
func (t Tuning) rows(m *Matrix) int { return t.rowsOf(m.DType) }

// slabRows is the same of a slab of m: reading through its address stays inside it.
func (t Tuning) slabRows(m *Matrix, s Slab) int {
	if t.Address {
		return min(t.rows(m), s.Rows)
	}
	return t.rows(m)
}

func (t Tuning) rowsOf(d weights.DType) int {
	if rows, measured := t.RowsOf[d]; measured {
		return rows
	}
	if t.Address {
		return t.AddressRows
	}
	if t.Dense > 0 && storages[d].unit == 32 {
		return t.Dense
	}
	return t.Rows
}

// fineLanes is the most lanes that share a row where a matrix has few.
const fineLanes = 256

// fine is how many lanes and rows a GEMV workgroup has, cut as usual into so many rows, for a matrix of so many rows and
// units a row that meets `tiles` of tokens. Where that makes too few workgroups, as for x_proj and its 288 rows, a large
// device would wait for memory: lanes go through a row one load after another.
func (t Tuning) fine(rows, of, units, tiles int, lim vulkan.Limits) (lanes, fewer int) {
	lanes = t.Local
	for rows > 1 && ceil(of, rows)*tiles < t.Groups {
		rows /= 2
	}
	for ceil(of, rows)*tiles < t.Groups && 2*lanes <= min(fineLanes, units, lim.MaxInvocations, lim.MaxGroupSize[0]) {
		lanes *= 2
	}
	return lanes, rows
}

// addressLanes is the lanes of the shaders that read weights through their address: each takes one of as many neighbours.
const addressLanes = 8

// addresses says whether a device has what these shaders need: neighbouring values of every size.
func addresses(f vulkan.Features) bool {
	return f.Address && f.Int8 && f.Int16 && f.Storage8 && f.Storage16
}

// draw is the lanes that choose from all logits.
func (t Tuning) draw() int {
	if t.Draw > 0 {
		return t.Draw
	}
	return t.Top
}

// laneStep is the columns that the lane-a-row GEMM takes at a time; its subgroups are no wider.
const laneStep = 16

// laneTokens is how many tokens a lane takes of so many: it computes whole tiles, and a few tokens, as of several texts
// side by side, would leave most of one empty. Each size is a shader to compile.
func (t Tuning) laneTokens(tokens int) int {
	for _, few := range []int{2, 4, 8} {
		if few < t.LaneTokens && (tokens <= few || few == 8 && tokens > t.LaneTokens && tokens <= 2*few) {
			return few
		}
	}
	return t.LaneTokens
}

// DefaultTuning serves GPUs, or drivers that run shaders on the CPU: those have one narrow subgroup a thread, pay for
// every barrier and gain nothing from shared memory.
func DefaultTuning(info vulkan.DeviceInfo) Tuning {
	if info.Type == vulkan.Software {
		width := max(info.Limits.MinSubgroup, 4)
		t := Tuning{
			Local: width, Rows: 8, Dense: 4, ThinRows: 4, ThinTokens: 4,
			Norm: width, Conv: width, ConvSpan: 64, ScanChannels: 16, Scan: width, ScanLanes: 1, ScanSpan: 32, Top: width,
		}
		t.Wide = info.Features.Int64
		if lim := info.Limits; t.Wide && lim.MinSubgroup == lim.MaxSubgroup && width <= laneStep && laneStep%width == 0 {
			t.LaneRows, t.LaneTokens = 2, 12
			if width == addressLanes && addresses(info.Features) {
				t.Address, t.AddressRows, t.AddressTokens = true, 16, 8
				t.LaneRows = 1 // 12 sums, weights and an activation fit a processor's 16 registers
				t.PanelsFrom = 48
			}
		}
		return t
	}
	t := Tuning{
		Local: 64, Rows: 4, Groups: 512, ThinRows: 4, ThinTokens: 4, TileFrom: 16,
		Norm: 128, Conv: 64, ConvSpan: 16, Scan: 64, ScanLanes: 4, ScanSpan: 8, Top: 128,
		Draw: min(512, max(128, info.Limits.MaxInvocations)), Few: true,
	}
	if fewRegisters(info) {
		t.ThinRows = 2 // sums of 4 x 4 and their weights do not fit
	}
	t.useFragment(info)
	return t
}

const vendorIntel = 0x8086

// fewRegisters says that a lane has about half the registers that it has on other GPUs. Vulkan does not tell; what its
// compiler spills does (mamba.TestCompiled).
func fewRegisters(info vulkan.DeviceInfo) bool { return info.VendorID == vendorIntel }

// useFragment makes the device's matrix units serve; false where it has none.
func (t *Tuning) useFragment(info vulkan.DeviceInfo) bool {
	var ok bool
	t.Fragment, ok = FragmentOf(info)
	t.FragmentFrom = 16
	return ok
}

// MatrixUnits says whether cooperative matrices multiply: "auto" (or "") where they are faster, "on" or "off".
type MatrixUnits string

// Tuning is DefaultTuning with the choice of matrix units. The error wraps vulkan.ErrUnsupported where the device has none
// and they are asked for.
func (u MatrixUnits) Tuning(info vulkan.DeviceInfo) (Tuning, error) {
	t := DefaultTuning(info)
	switch u {
	case "", "auto":
	case "off":
		t.Fragment = Fragment{}
	case "on":
		if !t.useFragment(info) {
			return t, fmt.Errorf("%w: %s has no matrix units for binary16 with f32 sums (VK_KHR_cooperative_matrix); leave them out with auto or off", vulkan.ErrUnsupported, info.Name)
		}
	default:
		return t, fmt.Errorf("matrix units %q: want auto, on or off", string(u))
	}
	return t, nil
}
