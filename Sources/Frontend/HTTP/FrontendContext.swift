import Hummingbird
import Logging
import NIOCore
import Synchronization

/// What handlers know of their request beside the request itself.
struct FrontendContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// The connection.
    let channel: any Channel
    /// Who sends the request.
    var caller = Caller.trusted
    /// Whether the body was read to its end.
    let body = BodyProgress()

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = source.channel
    }
}

/// Remembers whether a request's body was read to its end. Any thread.
final class BodyProgress: Sendable {
    private let flag = Atomic<Bool>(false)

    init() {}

    var isComplete: Bool { flag.load(ordering: .relaxed) }
    func complete() { flag.store(true, ordering: .relaxed) }
}
