// What host and worker say to each other, as the host sees it.
//
// RecordBuffer, RecordView   events as bytes (event_record.h), the same in the journal, in the host's batches and in a worker's inbox
// HostChannel                the host's end of one worker's channel (worker_channel.h)
// WorkerFrame, WorkerEmit    what a worker said, copied and checked
//
// Invariants
//   - Nothing read from memory that a worker can write is used before it was copied once and checked; nothing is read twice.
//   - A worker that lies makes a call throw `ChannelViolation`, after which the channel must not be used for more than reading its fields;
//     it can never make the host read or write out of bounds, allocate without limit or loop without end.
//
// Threads: a RecordBuffer belongs to one thread at a time. A HostChannel belongs to the engine's thread for its whole life.
