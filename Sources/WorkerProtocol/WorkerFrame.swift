/// What a worker said, checked: sizes, type, code and token are as the protocol allows.
///
/// Not checked, since only the caller can know: whether a run with this token is open, and whether it may end like this.
public struct WorkerFrame {
    /// What the frame tells.
    public let kind: FrameKind
    /// `result`: 0 success, 1 retry, 2 fatal, 3 pending, 4 skipped. `log`: the level, 0...5. `startFailed`: what `start` returned.
    public let code: UInt16
    /// The run; never 0 for `result`, `output`, `emit` and `extend`.
    public let token: UInt64
    /// `result`: the retry delay in milliseconds. `extend`: the milliseconds asked for.
    public let value: UInt64
    /// A private copy, whole (chunks are put together). Valid until the next call of `nextFrame` or `endTurn`.
    public let body: UnsafeRawBufferPointer

    /// The body as text; what is not UTF-8 is replaced.
    public var text: String { String(decoding: body, as: UTF8.self) }
}

/// Types of frames.
public enum FrameKind: UInt8, Sendable {
    /// The worker has started. Once, first (beside log lines).
    case ready = 1
    /// `start` failed; the body says why.
    case startFailed = 2
    /// A run ended (or, code 3, goes on as pending).
    case result = 3
    /// The output of a run.
    case output = 4
    /// An emitted event: decode with `WorkerEmit(checking:)`.
    case emit = 5
    /// A line for the log.
    case log = 6
    /// A heartbeat.
    case extend = 7
}
