#version 460
// Chooses the next id from all logits: after the repeat penalty, top-k, top-p and min-p; greedily where the scale is 0.
//
// One workgroup. The borders of top-k and top-p are searched digit by digit, in counts and in sums of weights by digit:
// nothing is sorted. Depths are computed anew in each pass, which reads no more than keeping them would.
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LOCAL = 256u;
layout(constant_id = 1) const uint MULTI = 1u;
const uint DIGITS = 256u, GROUP = 16u;

layout(set = 0, binding = 0, std430) readonly restrict buffer Logits { float logits[]; };
#include "draw.glsl"

layout(push_constant) uniform Push { uint count; } p;

#define TEAM_VALUES 1
#include "team.glsl"

shared float best_value[LOCAL / 4u + 1u];
shared uint best_id[LOCAL / 4u + 1u];
shared uint any_nan[LOCAL / 4u + 1u];
shared uint low[DIGITS];
shared uint high[DIGITS];
shared uvec2 groups[DIGITS / GROUP];
shared uvec2 lane_sum[LOCAL];
shared uint lane_ties[LOCAL];

float largest;

float value(const uint i) { return penalized(i, logits[i]); }

// key orders as logits do.
uint key(const float v) {
    uint bits = floatBitsToUint(v);
    if (bits << 1 == 0u) bits = 0u; // zeros are equal
    return (bits & 0x80000000u) != 0u ? ~bits : bits | 0x80000000u;
}

// The last that top-k leaves in: all above this key stay, and at it all up to this id.
uint top_key = 0u, top_id = 0xffffffffu;

// below is the depth of what top-k leaves.
uint below(const uint i) {
    const float v = value(i);
    if (control.top_k != 0u) {
        const uint k = key(v);
        if (k < top_key || (k == top_key && i > top_id)) return NEVER;
    }
    return depth(v, largest);
}

// The last that top-p leaves in: all above this depth stay, and so many at it, by id.
uint last = NEVER, ties = 0u;

void count_up(const uint digit, const uint by) {
    const uint before = atomicAdd(low[digit], by, gl_ScopeWorkgroup, 0, gl_SemanticsRelaxed);
    if (before + by < by) atomicAdd(high[digit], 1u, gl_ScopeWorkgroup, 0, gl_SemanticsRelaxed);
}

void clear_digits() {
    [[dont_unroll]] for (uint i = gl_LocalInvocationIndex; i < DIGITS; i += LOCAL) low[i] = high[i] = 0u;
    team_barrier();
}

// sum_digits adds up groups of digits, for pick_digit.
void sum_digits() {
    team_barrier();
    [[dont_unroll]] for (uint g = gl_LocalInvocationIndex; g < DIGITS / GROUP; g += LOCAL) {
        uvec2 s = uvec2(0u);
        [[dont_unroll]] for (uint i = 0u; i < GROUP; i++) s = add(s, uvec2(low[g * GROUP + i], high[g * GROUP + i]));
        groups[g] = s;
    }
    team_barrier();
}

// pick_digit is the digit at which sum reaches enough; what comes before it is added to sum.
uint pick_digit(inout uvec2 sum, const uvec2 enough) {
    uint digit = 0u;
    for (uvec2 s = add(sum, groups[0]); less(s, enough); s = add(sum, groups[digit / GROUP])) {
        sum = s;
        digit += GROUP;
    }
    for (uvec2 s = add(sum, uvec2(low[digit], high[digit])); less(s, enough); s = add(sum, uvec2(low[digit], high[digit]))) {
        sum = s;
        digit++;
    }
    return digit;
}

// find_top searches the top_k-th in order of the logits, equal ones in order of id.
void find_top() {
    uvec2 sum = uvec2(0u); // how many are above it
    uint found = 0u, equals = 0u;
    [[dont_unroll]] for (uint level = 0u; level < 4u; level++) {
        const uint shift = 24u - 8u * level;
        clear_digits();
        [[dont_unroll]] for (uint i = gl_LocalInvocationIndex; i < p.count; i += LOCAL) {
            const uint k = ~key(value(i)); // the largest first
            if (level == 0u || k >> (shift + 8u) == found) count_up((k >> shift) & 255u, 1u);
        }
        sum_digits();
        const uint digit = pick_digit(sum, uvec2(control.top_k, 0u));
        equals = low[digit];
        found = found << 8 | digit;
        team_barrier();
    }
    top_key = ~found;
    uint left = control.top_k - sum.x; // of the equals
    if (left == equals) return;
    // Runs of ids, as in the draw below: whose run has the last of those left?
    const uint lane = gl_LocalInvocationIndex;
    const uint run = (p.count + LOCAL - 1u) / LOCAL;
    const uint begin = min(lane * run, p.count), end = min(begin + run, p.count);
    uint mine = 0u;
    [[dont_unroll]] for (uint i = begin; i < end; i++)
        if (key(value(i)) == top_key) mine++;
    lane_ties[lane] = mine;
    team_barrier();
    uint before = 0u;
    [[dont_unroll]] for (uint l = 0u; l < lane; l++) before += lane_ties[l];
    if (before < left && left <= before + mine) {
        [[dont_unroll]] for (uint i = begin; before < left; i++) {
            if (key(value(i)) == top_key) before++;
            best_id[0] = i;
        }
    }
    team_barrier();
    top_id = best_id[0];
    team_barrier();
}

void find_largest(out uint first, out bool bad) {
    float v = uintBitsToFloat(0xff800000u);
    uint id = 0xffffffffu;
    bad = false;
    [[dont_unroll]] for (uint i = gl_LocalInvocationIndex; i < p.count; i += LOCAL) {
        const float l = value(i);
        bad = bad || nan(l);
        if (l > v) {
            v = l;
            id = i;
        }
    }
    const float top = subgroupMax(v);
    const uint lowest = subgroupMin(v == top ? id : 0xffffffffu);
    const uint wrong = subgroupMax(bad ? 1u : 0u);
    if (subgroupElect()) {
        best_value[gl_SubgroupID] = top;
        best_id[gl_SubgroupID] = lowest;
        any_nan[gl_SubgroupID] = wrong;
    }
    team_barrier();
    largest = best_value[0];
    first = best_id[0];
    uint found = any_nan[0];
    [[dont_unroll]] for (uint g = 1u; g < gl_NumSubgroups; g++) {
        found |= any_nan[g];
        if (best_value[g] > largest || (best_value[g] == largest && best_id[g] < first)) {
            largest = best_value[g];
            first = best_id[g];
        }
    }
    bad = found != 0u || infinite(largest);
}

// find_last searches the border of top-p: the weights up to it reach enough, those before it do not.
void find_last() {
    uvec2 enough = uvec2(0u), sum = uvec2(0u);
    uint shift = 29u, found = 0u; // digits above shift are found
    [[dont_unroll]] for (uint level = 0u; level < 4u; level++) {
        const uint above = shift;
        shift = level == 3u ? 0u : above - 8u;
        clear_digits();
        [[dont_unroll]] for (uint i = gl_LocalInvocationIndex; i < p.count; i += LOCAL) {
            const uint d = below(i);
            if (d < NEVER && d >> above == found) count_up((d >> shift) & ((1u << (above - shift)) - 1u), weight(d));
        }
        sum_digits();
        if (level == 0u) {
            [[dont_unroll]] for (uint g = 0u; g < DIGITS / GROUP; g++) enough = add(enough, groups[g]);
            enough = share(control.top_p, enough);
            if (enough == uvec2(0u)) enough.x = 1u; // the likeliest stays
        }
        found = found << (above - shift) | pick_digit(sum, enough);
        team_barrier();
    }
    last = found;
    const uint w = weight(last);
    uint most = p.count; // the least number of ties that reaches enough is above ties and at most this
    while (most - ties > 1u) {
        const uint middle = (ties + most) / 2u;
        if (less(add(sum, multiply(w, middle)), enough)) ties = middle;
        else most = middle;
    }
    ties = most;
}

uint weigh(const uint d) {
    const uint w = weight(d);
    return w >= control.min_p ? w : 0u;
}

// up_to is the weight of all that is kept up to a lane's last id.
uvec2 up_to(const uint lane) { return add(lane_sum[lane], multiply(weigh(last), min(ties, lane_ties[lane]))); }

void main() {
    uint first;
    bool bad;
    find_largest(first, bad);
    if (bad || control.scale == 0.0) {
        if (gl_LocalInvocationIndex == 0u) {
            if (bad) refuse();
            else accept(first);
        }
        return;
    }
    if (control.top_k != 0u && control.top_k < p.count) find_top();
    if (control.top_p != 0u) find_last();

    // Each lane adds up a run of ids, and then the sums of the lanes before it.
    const uint lane = gl_LocalInvocationIndex;
    const uint run = (p.count + LOCAL - 1u) / LOCAL;
    const uint begin = min(lane * run, p.count), end = min(begin + run, p.count);
    uvec2 sum = uvec2(0u);
    uint tied = 0u;
    [[dont_unroll]] for (uint i = begin; i < end; i++) {
        const uint d = below(i);
        if (d < last) sum = add(sum, uvec2(weigh(d), 0u));
        if (d == last) tied++;
    }
    [[dont_unroll]] for (uint step = 1u; step < LOCAL; step <<= 1) {
        lane_sum[lane] = sum;
        lane_ties[lane] = tied;
        team_barrier();
        if (lane >= step) {
            sum = add(lane_sum[lane - step], sum);
            tied += lane_ties[lane - step];
        }
        team_barrier();
    }
    lane_sum[lane] = sum;
    lane_ties[lane] = tied;
    team_barrier();

    const uvec2 target = draw(up_to(LOCAL - 1u));
    team_barrier(); // the draw is read before the place moves on
    uvec2 at = uvec2(0u);
    uint met = 0u;
    if (lane > 0u) {
        at = up_to(lane - 1u);
        met = lane_ties[lane - 1u];
    }
    if (less(target, at) || !less(target, up_to(lane))) return;
    [[dont_unroll]] for (uint i = begin; i < end; i++) {
        const uint d = below(i);
        if (d > last || (d == last && met++ >= ties)) continue;
        at = add(at, uvec2(weigh(d), 0u));
        if (less(target, at)) {
            accept(i);
            return;
        }
    }
}
