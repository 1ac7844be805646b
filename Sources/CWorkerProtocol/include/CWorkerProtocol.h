// What host and worker share: see each header for the layout it fixes.
#pragma once

#include "event_record.h"
#include "keeper_messages.h"
#include "worker_channel.h"
#include "worker_view.h"
