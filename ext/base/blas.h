/* What OpenBLAS was built as and picked, and how it is called: by the files of base/ only, and by one thread of the
 * process at a time. */
#ifndef RECOMMEND_BASE_BLAS_H
#define RECOMMEND_BASE_BLAS_H

#include "cancel.h"

const char *blas_description(void); /* "OpenBLAS 0.3.21 … SINGLE_THREADED" */
const char *blas_core(void);        /* the kernels it runs: "SkylakeX" */

/* Every call of a routine of OpenBLAS stands between these two, and takes 50 ms at most. Returns CODE_OK when it is
 * the caller's turn, or what cancel says, also while another thread is at it: nothing is held then. */
int blas_begin(const Cancel *cancel);
void blas_end(void);

#endif
