// The dispatcher: from the journal's batches to the workers and back.
//
// Scheduler (folder Scheduler) decides. It is a value without I/O, clock or threads: its inputs are method calls ("these batches
// were loaded", "this run ended so", "this worker died", "it is now 12:00"), its outputs are `SchedulerAction`s and a `JournalCommit`.
//
// Engine (folder Engine) does. One dedicated thread owns the scheduler, the supervisor and all worker channels; it waits in epoll
// for workers, processes and its mailbox, feeds the scheduler and carries out what it decides.
//
// Invariants, checked by the simulator after every step (Tests/DispatcherTests/Simulation):
//   - an event that was taken from a stream is in exactly one place: waiting in a lane, at one worker, in a deferred row, or finished;
//   - of one lane (route and subject) only a prefix is at a worker, and only one worker at a time;
//   - progress passes an event only together with, or after, the row that keeps it or the effects of its success.
