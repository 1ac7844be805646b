import HTTPTypes
import Hummingbird
import Journal
import NIOCore
import Synchronization

/// Takes a stream of events, one JSON object a line, and answers line by line, while more are coming.
///
/// Two tasks: one reads lines and hands runs of them to the journal without waiting for commits (`LineReader`), the other, the one that
/// Hummingbird lets write the response, writes answers in order (`LineAnswers`). The status is chosen when the first run is settled, so
/// that a full backlog is a plain 429.
struct NDJSONIngest: Sendable {
    let door: EventDoor
    /// Why no more events are taken in; nil: they are.
    let closedReason: @Sendable () -> String?

    func respond(to request: Request, context: FrontendContext) async -> Response {
        let queue = AnswerQueue()
        let stop = StopSign()
        let closedReason = closedReason
        let door = door
        let body = request.body
        let reader = Task {
            var reader = LineReader(door: door, queue: queue) {
                if let problem = stop.problem { return problem }
                return closedReason().map { Problem.unavailable($0) }
            }
            await reader.run(body)
        }
        var answers = LineAnswers()
        if let first = await queue.next() {
            for (group, outcome) in first { answers.add(group, outcome) }
            if let problem = answers.refusal {
                stop.set(problem)
                queue.finish()
            }
            if let problem = answers.refusal, first[0].group.faults.first?.place != 0, case .failure = first[0].outcome, first.count == 1 {
                var problem = problem
                problem.line = first[0].group.firstLine
                return refused(problem, reader, context)
            }
        }
        let head = answers
        return Response(
            status: .ok, headers: [.contentType: "application/x-ndjson"],
            body: ResponseBody { writer in
                var answers = head
                do {
                    while true {
                        let text = answers.take()
                        if !text.isEmpty { try await writer.write(ByteBuffer(bytes: text)) }
                        guard let groups = await queue.next() else { break }
                        for (group, outcome) in groups { answers.add(group, outcome) }
                        if let problem = answers.refusal {
                            stop.set(problem)
                            queue.finish()
                        }
                    }
                    try await writer.finish(nil)
                } catch {
                    queue.abandon()
                    queue.finish()
                    await LingeringClose.wait(for: reader, context.channel)
                    throw error
                }
                await LingeringClose.wait(for: reader, context.channel)
            })
    }

    /// The whole request is refused: a plain problem. The body is read on for a moment.
    private func refused(_ problem: Problem, _ reader: Task<Void, Never>, _ context: FrontendContext) -> Response {
        var response = problem.response()
        var json = JSONText()
        problem.write(to: &json)
        let text = json.bytes
        response.headers[.connection] = "close"
        response.headers[.contentLength] = nil
        response.body = ResponseBody(contentLength: text.count) { writer in
            try await writer.write(ByteBuffer(bytes: text))
            try await writer.finish(nil)
            await LingeringClose.wait(for: reader, context.channel)
        }
        return response
    }
}

/// Tells the reader that the writer has seen a refusal.
private final class StopSign: Sendable {
    private let state = Mutex<Problem?>(nil)

    var problem: Problem? { state.withLock { $0 } }

    func set(_ problem: Problem) { state.withLock { $0 = $0 ?? problem } }
}
