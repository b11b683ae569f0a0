// Sums over a workgroup ("team") of any size on any subgroup width from 4 to 128.
//
// MULTI (a specialization constant of the including file) is 0 when the host knows that the team fits one subgroup:
// then no barrier is needed, which spares software drivers their costly coroutines.
// The including file defines LOCAL, MULTI and TEAM_VALUES.
#ifndef TEAM_GLSL
#define TEAM_GLSL

void team_barrier() {
    if (MULTI != 0u) {
        barrier();
    } else {
        subgroupMemoryBarrierShared();
        subgroupBarrier();
    }
}

// One entry for each value and subgroup; the narrowest has 4 lanes.
shared float team_partial[MULTI != 0u ? TEAM_VALUES * (LOCAL / 4u + 1u) : 1u];

float sums[TEAM_VALUES];

// team_sum adds each of `sums` over the team's lanes; all lanes get all sums.
// One pair of barriers serves, however many values there are.
void team_sum() {
    [[unroll]] for (uint i = 0u; i < TEAM_VALUES; i++) sums[i] = subgroupAdd(sums[i]);
    if (MULTI != 0u) {
        barrier();
        if (subgroupElect()) {
            [[unroll]] for (uint i = 0u; i < TEAM_VALUES; i++) team_partial[gl_SubgroupID * TEAM_VALUES + i] = sums[i];
        }
        barrier();
        // The loop of unknown length is the outer one: Mesa unrolls none that has such a loop in it, and `sums` would be kept in memory.
        [[unroll]] for (uint i = 0u; i < TEAM_VALUES; i++) sums[i] = 0.0;
        for (uint g = 0u; g < gl_NumSubgroups; g++) {
            [[unroll]] for (uint i = 0u; i < TEAM_VALUES; i++) sums[i] += team_partial[g * TEAM_VALUES + i];
        }
    }
}

#endif
