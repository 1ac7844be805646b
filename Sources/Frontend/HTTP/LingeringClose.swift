import NIOCore

/// Ends a connection whose request was answered before it was read to its end.
///
/// Closing a socket with unread bytes makes the kernel send a reset, which can destroy the answer on its way. So the rest is read and
/// thrown away, for a moment.
enum LingeringClose {
    static let delay = TimeAmount.seconds(2)

    /// Waits until `reader` has come to the request's end; closes the connection when that takes too long.
    static func wait(for reader: Task<Void, Never>, _ channel: any Channel) async {
        let timer = channel.eventLoop.scheduleTask(in: delay) { channel.close(promise: nil) }
        await reader.value
        timer.cancel()
    }

    /// Closes the connection in a moment, whatever it does. For responses that say `Connection: close`.
    static func schedule(_ channel: any Channel) {
        channel.eventLoop.scheduleTask(in: delay) { channel.close(promise: nil) }
    }
}
