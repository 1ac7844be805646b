#pragma once
#include "libc.h"
#include "socket_messages.h"
#include "worker_process.h"
