// The plugin interface is a header; this file makes a target of it.
#include "capelet.h"
