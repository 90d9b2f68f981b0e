#include "register.h"
int evaluate_register(Connection *connection) { (void)connection; return SQLITE_OK; }
