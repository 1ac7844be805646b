internal import CLinux
internal import CWorkerProtocol

/// The host's end of the channel to one worker (worker_channel.h).
///
/// Sending: `stage` events one by one, `publish` once. Receiving: `beginTurn`, `nextFrame` until it is nil, `endTurn`. Sleeping:
/// `prepareToSleep` on every channel, then poll the bells, then `awake`. No call blocks; none but `init` and the growth of a buffer for a
/// large message allocates.
///
/// One thread. After a `ChannelViolation` the worker has to be killed; frames that were read before it hold.
public final class HostChannel {
    /// The largest message that is put together from chunks, for outputs and for emits, in bytes.
    public static let outputBytesMax = 1 << 20
    /// See `outputBytesMax`.
    public static let emitBytesMax = (16 << 20) + (256 << 10)
    /// Events whose records travel as a memfd that may be queued at one time.
    public static let largeEventsMax = 16
    /// Bells without a frame that are forgiven in one second.
    public static let idleBellsPerSecondMax = 1000
    /// Bells that may come late: after the host has woken by itself, or has read the frame.
    static let lateBellsMax = 64

    // MARK: descriptors for the worker

    /// The inbox's memfd, for the spawn message. Closed by `closeWorkerEnds`.
    public private(set) var inboxDescriptor: Int32 = -1
    /// The outbox's memfd, for the spawn message. Closed by `closeWorkerEnds`.
    public private(set) var outboxDescriptor: Int32 = -1
    /// The worker's end of the socket. Closed by `closeWorkerEnds`.
    public private(set) var workerSocket: Int32 = -1
    /// The eventfd that the worker rings; for epoll (edge-triggered), and for the spawn message. Open as long as the channel.
    ///
    /// The host never reads it: the worker could take O_NONBLOCK off it, empty it first, and so make the host wait for ever.
    public let bell: Int32
    /// The host's end of the socket: hangs up when the worker closes its own. Open as long as the channel.
    public let socket: Int32

    let inbox: UnsafeMutablePointer<capelet_inbox>
    let outbox: UnsafeMutablePointer<capelet_outbox>
    let slots: UnsafeMutablePointer<capelet_slot>
    let arena: UnsafeMutableRawPointer
    let ring: UnsafeMutableRawPointer

    // MARK: the host's own account of what it sent; never read back from shared memory

    /// Number of the next event to stage, the limit that was last published, and what the worker is known to have claimed and released.
    var head: UInt32
    var published: UInt32
    var claimedSeen: UInt32
    var releasedSeen: UInt32
    /// Bytes put into the arena, and of those given back, since the start. Position in the arena: modulo its size.
    var arenaHead: UInt64 = 0
    var arenaTail: UInt64 = 0
    /// For each slot: where the arena began to be used for its event.
    let arenaBegins: UnsafeMutablePointer<UInt64>
    /// For each slot: size of its memfd, 0 for events in the arena.
    let largeSizes: UnsafeMutablePointer<UInt64>
    var largeEvents = 0
    /// Withdrawn events whose memfds are still in the socket, and their bytes: an upper bound.
    var staleEvents = 0
    var staleBytes: UInt64 = 0

    // MARK: the host's own account of what it read

    var consumed: UInt64 = 0
    var consumedShown: UInt64 = 0
    var turnEnd: UInt64 = 0
    var turnFrames = 0
    var isReady = false
    let frameBody: UnsafeMutableRawPointer
    var message: UnsafeMutableRawPointer?
    var messageCapacity = 0
    var messageSize = 0
    var messageKind: FrameKind?
    var messageToken: UInt64 = 0
    /// Whether the last frame was padding.
    var lastIsPadding = false
    var framesUnrung = 0
    /// Sleeps of the host that the worker has not rung in.
    var sleepsUnrung = 0
    var idleBells = 0
    var idleBellsSinceMillis: Int64 = 0

    /// Makes the shared memory, the bell and the socket of a new channel.
    public convenience init() throws(SystemCallError) { try self.init(firstNumber: 0) }

    /// `firstNumber`: the first event's number, for tests of the counters' wrap-around.
    init(firstNumber: UInt32) throws(SystemCallError) {
        let parts = try Self.makeParts()
        inboxDescriptor = parts.inboxDescriptor
        outboxDescriptor = parts.outboxDescriptor
        workerSocket = parts.workerSocket
        bell = parts.bell
        socket = parts.socket
        inbox = parts.inbox
        outbox = parts.outbox
        slots = UnsafeMutableRawPointer(inbox).advanced(by: MemoryLayout<capelet_inbox>.offset(of: \.slots)!)
            .assumingMemoryBound(to: capelet_slot.self)
        arena = UnsafeMutableRawPointer(inbox).advanced(by: MemoryLayout<capelet_inbox>.size - Int(CAPELET_ARENA_SIZE))
        ring = UnsafeMutableRawPointer(outbox).advanced(by: MemoryLayout<capelet_outbox>.size - Int(CAPELET_RING_SIZE))
        head = firstNumber
        published = firstNumber
        claimedSeen = firstNumber
        releasedSeen = firstNumber
        arenaBegins = .allocate(capacity: Int(CAPELET_SLOTS))
        arenaBegins.initialize(repeating: 0, count: Int(CAPELET_SLOTS))
        largeSizes = .allocate(capacity: Int(CAPELET_SLOTS))
        largeSizes.initialize(repeating: 0, count: Int(CAPELET_SLOTS))
        frameBody = .allocate(byteCount: Int(CAPELET_FRAME_MAX), alignment: 16)
        inbox.pointee.version = UInt32(CAPELET_CHANNEL_VERSION)
        outbox.pointee.claim = capelet_claim(firstNumber, firstNumber)
        outbox.pointee.released = firstNumber
    }

    deinit {
        closeWorkerEnds()
        capelet_linux_close(bell)
        capelet_linux_close(socket)
        capelet_linux_unmap(inbox, MemoryLayout<capelet_inbox>.size)
        capelet_linux_unmap(outbox, MemoryLayout<capelet_outbox>.size)
        arenaBegins.deallocate()
        largeSizes.deallocate()
        frameBody.deallocate()
        message?.deallocate()
    }

    /// Closes the host's copies of what the worker has got: once the spawn message is sent, or given up.
    public func closeWorkerEnds() {
        for descriptor in [inboxDescriptor, outboxDescriptor, workerSocket] where descriptor >= 0 { capelet_linux_close(descriptor) }
        inboxDescriptor = -1
        outboxDescriptor = -1
        workerSocket = -1
    }

    /// Asks the worker to finish what is claimed, take nothing new, complete what is pending, and exit.
    public func requestStop() {
        capelet_store32(&inbox.pointee.stop, 1)
        wakeWorker()
    }

    /// Tells the worker that the result of this run is no longer wanted. The last 64 are remembered.
    public func cancel(token: UInt64) {
        let count = inbox.pointee.cancelled_count
        let list = UnsafeMutableRawPointer(inbox).advanced(by: MemoryLayout<capelet_inbox>.offset(of: \.cancelled)!)
            .assumingMemoryBound(to: UInt64.self)
        capelet_store64(list + Int(count % UInt32(CAPELET_CANCELLED_MAX)), token)
        capelet_store32(&inbox.pointee.cancelled_count, count &+ 1)
        wakeWorker()
    }

    /// Several threads of the worker wait on this word, not all of which have a flag: all are woken.
    func wakeWorker() {
        _ = capelet_add32(&inbox.pointee.wake, 1)
        capelet_linux_futex_wake_all(&inbox.pointee.wake)
    }

    /// Says that the host is about to sleep: from now on the worker rings the bell. Returns true if there are frames: then do not sleep.
    public func prepareToSleep() -> Bool {
        sleepsUnrung = min(sleepsUnrung + 1, Self.lateBellsMax)
        capelet_store32(&inbox.pointee.host_waiting, 1)
        capelet_fence()
        return capelet_load64(&outbox.pointee.written) != consumed
    }

    /// Says that the host looks by itself again, so that the worker need not ring.
    public func awake() { capelet_store32(&inbox.pointee.host_waiting, 0) }

    /// Takes note of a ringing bell.
    ///
    /// - Throws: when the worker rings on and on without having anything to say.
    public func answerBell(nowMillis: Int64) throws(ChannelViolation) {
        // An honest worker rings at most once for each time that the host sleeps, and for each frame, though perhaps after the frame was read.
        if sleepsUnrung > 0 {
            sleepsUnrung -= 1
            if framesUnrung > 0 {
                framesUnrung = min(framesUnrung, Self.lateBellsMax) - 1
                return
            }
            if capelet_load64(&outbox.pointee.written) != consumed { return }
        }
        if nowMillis - idleBellsSinceMillis >= 1000 {
            idleBellsSinceMillis = nowMillis
            idleBells = 0
        }
        idleBells += 1
        if idleBells > Self.idleBellsPerSecondMax {
            throw ChannelViolation("it rang the bell more than \(Self.idleBellsPerSecondMax) times in a second without saying anything")
        }
    }
}
