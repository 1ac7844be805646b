// The headers are the whole module; a C target needs one source file.
#include "CWorkerProtocol.h"
