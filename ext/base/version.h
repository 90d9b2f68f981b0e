/* The version, as recommend_version() and every stored model have it. */
#ifndef RECOMMEND_BASE_VERSION_H
#define RECOMMEND_BASE_VERSION_H

#define RECOMMEND_VERSION "0.1.0"

#endif
