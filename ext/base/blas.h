/* What OpenBLAS was built as and picked. Its routines are called by the files of base/ only. */
#ifndef RECOMMEND_BASE_BLAS_H
#define RECOMMEND_BASE_BLAS_H

const char *blas_description(void); /* "OpenBLAS 0.3.21 … SINGLE_THREADED" */
const char *blas_core(void);        /* the kernels it runs: "SkylakeX" */

#endif
