// Calls of functions whose types are known only at run time, by libffi, which is linked statically: for `capelet-worker` alone.
// libffi's own header stays in function_call.c, so that nobody else depends on its layouts.
#pragma once

#include "function_call.h"
