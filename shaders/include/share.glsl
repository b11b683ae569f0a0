// What a workgroup takes of a slab's rows: SHARE of them.
//
// With -DADDRESS it reads all of them, unchecked; so the last workgroup takes rows of the one before once more rather than
// read past the end, and does nothing with them. The slab has at least SHARE rows then.
#ifndef SHARE_GLSL
#define SHARE_GLSL

// share_first is the first row that the workgroup reads.
uint share_first(const uint rows) {
#ifdef ADDRESS
    return min(gl_WorkGroupID.x * SHARE, rows - SHARE);
#else
    return gl_WorkGroupID.x * SHARE;
#endif
}

// shared_out says whether a row from share_first on is for this workgroup to finish.
bool shared_out(const uint row, const uint rows) { return row >= gl_WorkGroupID.x * SHARE && row < rows; }

#endif
