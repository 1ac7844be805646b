// The Frontend: the doors through which events come in and through which people look at the host and steer it. HTTP/1.1 on Hummingbird.
//
// Two listeners with one set of handlers:
// - TCP (`listen.http`): events in, reads. The `Host` header must name this machine, so that a web page cannot reach it by DNS rebinding.
//   Once the routing file names tokens, all but `/healthz` and `/readyz` wants one (`Access/`).
// - the Unix socket `DATA/capelet.sock`, mode 0600: all of that and administration. Who can open the socket owns the host anyway, except for
//   the host's own workers, which are told from other processes of its user (`PeerCheck`).
//
// One event's way: the request's content type picks a decoder (`CloudEventAttributes`, `NDJSONIngest`), which checks every limit and
// encodes straight into a `RecordBuffer`; the journal takes the buffer; the answer is written when the journal says that the commit is on
// disk.
//
// Invariants:
// - Nothing is answered as accepted before the journal's receipt.
// - Every byte that is read from a connection is counted against a limit before it is kept.
// - No blocking call runs on an event loop or in the cooperative pool: journal reads, large payloads and backups go to NIO's thread pool.
//
// Threads: handlers run in the cooperative pool; journal receipts arrive on the journal's writer thread and only resume continuations.
