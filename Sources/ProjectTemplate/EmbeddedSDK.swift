// Made by PluginSDK/embed.sh from PluginSDK: do not change it here.
// swift-format-ignore-file

/// A file of the SDK or of a template.
struct EmbeddedFile {
    /// Relative to the SDK or the template.
    let path: String
    /// The whole text.
    let contents: String
}

/// The plugin SDK and the templates of `capelet new`.
enum EmbeddedSDK {
    /// The Swift SDK: its manifest and sources.
    static let sdk: [EmbeddedFile] = [
        EmbeddedFile(
            path: "Package.swift",
            contents: ####"""
// swift-tools-version:6.2
import PackageDescription

let swiftSettings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

// What a plugin needs to be written in Swift, and nothing else: no dependencies. A plugin that takes only CapeletSDK does not link
// Foundation; CapeletJSON adds Codable payloads, configuration and outputs, and links FoundationEssentials.
let package = Package(
    name: "capelet-sdk",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "CapeletSDK", targets: ["CapeletSDK"]),
        .library(name: "CapeletJSON", targets: ["CapeletJSON"]),
    ],
    targets: [
        .target(name: "CCapelet"),
        .target(name: "CapeletSDK", dependencies: ["CCapelet"], swiftSettings: swiftSettings),
        .target(name: "CapeletJSON", dependencies: ["CapeletSDK"], swiftSettings: swiftSettings),
    ]
)

"""####),
        EmbeddedFile(
            path: "Sources/CCapelet/CCapelet.c",
            contents: ####"""
// The plugin interface is a header; this file makes a target of it.
#include "capelet.h"

"""####),
        EmbeddedFile(
            path: "Sources/CCapelet/include/capelet.h",
            contents: ####"""
/*
 * capelet.h - the plugin interface of Capelet, version 1.
 *
 * A plugin is a shared object that exports one function, `capelet_plugin_v1`. It returns a table of lambdas. A plugin links
 * nothing of Capelet: what it may ask of its host comes in as a table of functions (`capelet_host`).
 *
 * Growth. Every structure that may grow begins with its own size in bytes (`struct_size`), set by whoever made the structure. A
 * reader uses a field only if it lies within that size. Fields are only ever appended; a change that cannot be made so
 * gets a new entry point (`capelet_plugin_v2`). Arrays hold pointers, so that elements may grow too.
 *
 * Bytes. Strings and payloads are `capelet_bytes`: pointer and length, not terminated, possibly empty (the pointer of an
 * empty one may be NULL). Subjects, types, ids and header names are UTF-8.
 *
 * Lifetime. What an event points to is valid until `handle` (or `handle_batch`) returns, also when it returns
 * CAPELET_PENDING: a handler that goes on later copies what it needs first.
 *
 * Threads. Capelet calls `start`, `handle`, `handle_batch` and `stop` of one worker from one thread, one after another.
 * The functions of `capelet_host` may be called from any thread.
 *
 * Processes. Loading must not start threads (a plugin that does is run without template forking, which is slower).
 * Load-time constructors run before the process is forked; `start` runs once in each worker process.
 *
 * Licensed under the Apache License, Version 2.0.
 */
#ifndef CAPELET_H
#define CAPELET_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The version of this interface. A host refuses a plugin that was built for a newer one. */
#define CAPELET_ABI_VERSION 1u

/** Marks the entry point as visible, whatever the compiler's default visibility. */
#if defined(__GNUC__) || defined(__clang__)
#define CAPELET_EXPORT __attribute__((visibility("default")))
#else
#define CAPELET_EXPORT
#endif

/** Bytes or text: `size` bytes from `data`. Not terminated. This structure never grows. */
typedef struct capelet_bytes {
    const void *data;
    size_t size;
} capelet_bytes;

/** One header of an event: a name (lower case) and a value. This structure never grows. */
typedef struct capelet_header {
    capelet_bytes name;
    capelet_bytes value;
} capelet_header;

/** What one upstream lambda (`after:`) put out for this same event. This structure never grows. */
typedef struct capelet_input {
    capelet_bytes lambda;
    capelet_bytes output;
} capelet_input;

/** Bits of `capelet_event.flags`. */
enum {
    /** An operator took this event out of the dead letters. It may come out of the order of its subject. */
    CAPELET_EVENT_REDRIVEN = 1u << 0,
    /** An operator asked for this event to be delivered again. It may come out of the order of its subject. */
    CAPELET_EVENT_REPLAYED = 1u << 1,
};

/** One event, as a lambda sees it. */
typedef struct capelet_event {
    uint32_t struct_size;
    /** 1 for the first run of this event by this lambda, then 2, 3 and so on. */
    uint32_t attempt;
    /** CAPELET_EVENT_... bits. */
    uint32_t flags;
    uint32_t header_count;
    /** Names this run of this event in calls to the host. Never 0, never used again. */
    uint64_t token;
    /** Increasing within the subject; gaps are legal. */
    uint64_t sequence;
    /** Position in the journal of the domain. */
    uint64_t offset;
    /** When it happened, in microseconds since 1970-01-01T00:00:00Z. */
    int64_t time_micros;
    capelet_bytes domain;
    capelet_bytes subject;
    capelet_bytes type;
    capelet_bytes id;
    capelet_bytes payload;
    /** `header_count` headers. A trace context travels as `traceparent` and `tracestate`. */
    const capelet_header *headers;
    /** `input_count` outputs of upstream lambdas; none without `after:`. */
    const capelet_input *inputs;
    uint32_t input_count;
    uint32_t reserved;
} capelet_event;

/** How a run ended, or that it has not yet. */
typedef enum capelet_status {
    /** Done. Outputs and emitted events are committed together with this. */
    CAPELET_SUCCESS = 0,
    /** Failed for now: the event comes again after a delay, up to the lambda's number of attempts. */
    CAPELET_RETRY = 1,
    /** Failed for good: the event is given up on at once, as the lambda's `exhausted:` setting says. */
    CAPELET_FATAL = 2,
    /** Not finished: `capelet_host.complete` will be called later, from any thread. */
    CAPELET_PENDING = 3,
} capelet_status;

/** More about how a run ended. The host hands it in zeroed, with `struct_size` set. */
typedef struct capelet_result {
    uint32_t struct_size;
    uint32_t reserved;
    /** With CAPELET_RETRY: not before this many milliseconds. 0: the lambda's own backoff decides. */
    uint64_t retry_after_millis;
    /** With CAPELET_RETRY or CAPELET_FATAL: why, for the operator. UTF-8, terminated; longer text is cut. */
    char message[512];
} capelet_result;

/** How grave a line in the log is. */
typedef enum capelet_level {
    CAPELET_LOG_TRACE = 0,
    CAPELET_LOG_DEBUG = 1,
    CAPELET_LOG_INFO = 2,
    CAPELET_LOG_NOTICE = 3,
    CAPELET_LOG_WARNING = 4,
    CAPELET_LOG_ERROR = 5,
} capelet_level;

/** An event that a lambda wants to come about. The host gives it offset, sequence and, where absent, id and time. */
typedef struct capelet_emit {
    uint32_t struct_size;
    uint32_t header_count;
    /** The domain to emit to. It has to be in the routing file. */
    capelet_bytes domain;
    capelet_bytes subject;
    capelet_bytes type;
    /** Empty: the host makes one from the emitting event and the number of the emit, so that a repeat is recognised. */
    capelet_bytes id;
    capelet_bytes payload;
    const capelet_header *headers;
} capelet_emit;

/** What the calls of `capelet_host` answer with, other than 0 for done. */
enum {
    /** An argument is wrong: unknown token, text that is not UTF-8, a missing subject. */
    CAPELET_EINVAL = -1,
    /** A limit was passed: output over 1 MiB, more than 1,000 emits, over 16 MiB in all. The event fails as fatal. */
    CAPELET_ELIMIT = -2,
    /** The run was already completed, or its deadline has passed. */
    CAPELET_EGONE = -3,
    /** There is no such configuration key. */
    CAPELET_ENOENT = -4,
};

/**
 * What a plugin may ask of its host. One table for each worker; valid from `start` until `stop` has returned. The first argument
 * of every function is the table itself. All functions may be called from any thread.
 */
typedef struct capelet_host capelet_host;
struct capelet_lambda;
struct capelet_host {
    uint32_t struct_size;
    uint32_t abi_version;

    /** The lambda's name in the routing file. Also the name under which others see its outputs. */
    capelet_bytes lambda;
    /** A folder of the lambda's own: writable, kept across restarts and reloads. Shared by all workers of the lambda. */
    capelet_bytes state_directory;
    /** The lambda's `config:` as one JSON object. */
    capelet_bytes config_json;
    /** 0 for the first worker of the lambda, then 1, 2 and so on, up to `workers:` - 1. */
    uint32_t worker_index;
    uint32_t reserved;

    /**
     * Looks up one configuration value as text. Nested keys are joined with dots: `retry.count`; list elements are numbered from 0.
     * Writes to `*value` bytes that stay valid until `stop`. Returns 0 or CAPELET_ENOENT.
     */
    int32_t (*config)(const capelet_host *host, const char *key, capelet_bytes *value);

    /** Writes a line to the lambda's log. `token` ties it to an event; 0 to none. Lines over 8 KiB are cut. */
    void (*log)(const capelet_host *host, uint64_t token, int32_t level, const char *text, size_t size);

    /**
     * Sets this event's output: the input of the lambdas that come `after:` this one. A second call replaces the first. Up to
     * 1 MiB. Kept only if the run succeeds. Returns 0, CAPELET_EINVAL, CAPELET_ELIMIT or CAPELET_EGONE.
     */
    int32_t (*output)(const capelet_host *host, uint64_t token, const void *data, size_t size);

    /**
     * Emits an event. It is committed with this run's success, exactly once, or not at all. Returns 0, CAPELET_EINVAL,
     * CAPELET_ELIMIT or CAPELET_EGONE. An unknown domain makes the run fail as fatal when it ends.
     */
    int32_t (*emit)(const capelet_host *host, uint64_t token, const capelet_emit *emit);

    /**
     * Heartbeat: asks for `millis` milliseconds from now before this run counts as timed out. The host grants it up to the
     * lambda's `timeout-max`. Returns 0, CAPELET_EINVAL or CAPELET_EGONE.
     */
    int32_t (*extend)(const capelet_host *host, uint64_t token, uint64_t millis);

    /**
     * Completes a run whose handler has returned CAPELET_PENDING. May be called before the handler has returned. `result` may be
     * NULL. Returns 0, CAPELET_EINVAL or CAPELET_EGONE (completed before, or too late).
     */
    int32_t (*complete)(const capelet_host *host, uint64_t token, int32_t status, const capelet_result *result);

    /** 1 when this run's result is no longer wanted (deadline, shutdown): stop as soon as you can. Otherwise 0. Cheap. */
    int32_t (*is_cancelled)(const capelet_host *host, uint64_t token);

    /**
     * Which lambda this worker runs: the very element of the plugin's table, so that several lambdas can share one `start`. Its name
     * may differ from `lambda`, since a routing file can use an entry under another name.
     */
    const struct capelet_lambda *entry;
};

/** Bits of `capelet_lambda.flags`. None is defined in version 1. */

/** One lambda of a plugin. */
typedef struct capelet_lambda {
    uint32_t struct_size;
    uint32_t flags;
    /** The name by which routing files refer to it: letters, digits, `-`, `_`, at most 64 bytes. */
    const char *name;
    /** One line for `capelet lambdas`. May be NULL. */
    const char *summary;
    /**
     * Called once in each worker, before the first event. `*state` is handed to all later calls. Anything but 0 is a
     * failed start; `result->message` may say why. May be NULL.
     */
    int32_t (*start)(const capelet_host *host, void **state, capelet_result *result);
    /** Called once when the worker ends in good order. May be NULL. */
    void (*stop)(void *state);
    /** Handles one event; returns a `capelet_status`. Required unless there is `handle_batch`. */
    int32_t (*handle)(void *state, const capelet_event *event, capelet_result *result);
    /**
     * Handles up to `batch_max` events at once; writes one `capelet_status` for each into `statuses`, and may fill in the result that
     * `results[i]` points to. Events of one subject appear in order. When one of them does not succeed, the host runs the later ones of its
     * subject again, whatever their status says. May be NULL.
     */
    void (*handle_batch)(void *state, const capelet_event *const *events, size_t count, int32_t *statuses,
                         capelet_result *const *results);
    /** The most events `handle_batch` takes at once, 1 to 1,024. 0 means 64. */
    uint32_t batch_max;
    uint32_t reserved;
    /**
     * Called on a thread of Capelet's own, beside a running handler, when `is_cancelled` turns 1 for a run. May be NULL. Must
     * return at once.
     */
    void (*cancel)(void *state, uint64_t token);
} capelet_lambda;

/** What a plugin's entry point returns. It and all it points to stay valid for the life of the process. */
typedef struct capelet_plugin {
    uint32_t struct_size;
    /** CAPELET_ABI_VERSION, as the plugin was compiled. */
    uint32_t abi_version;
    /** The plugin's own version, for `capelet lambdas`. May be NULL. */
    const char *version;
    size_t lambda_count;
    const capelet_lambda *const *lambdas;
} capelet_plugin;

/** The one function that a plugin exports. It must be cheap and free of side effects; it may be called more than once. */
CAPELET_EXPORT const capelet_plugin *capelet_plugin_v1(void);

#ifdef __cplusplus
}
#endif

#endif

"""####),
        EmbeddedFile(
            path: "Sources/CCapelet/include/module.modulemap",
            contents: ####"""
module CCapelet {
    header "capelet.h"
    export *
}

"""####),
        EmbeddedFile(
            path: "Sources/CapeletJSON/CapeletJSON.swift",
            contents: ####"""
// CapeletJSON: Codable values as payloads, inputs, outputs, emitted events and configuration.
//
// A module of its own, because it links FoundationEssentials: a plugin that imports only CapeletSDK links no Foundation. Payloads are
// decoded where they lie, without a copy. Functions may be called from any thread.

public import CapeletSDK

#if canImport(FoundationEssentials)
    public import FoundationEssentials
#else
    public import Foundation
#endif

extension Event {
    /// Decodes the payload as JSON. A payload that does not fit is a fatal error: it will not fit the next time either.
    public func decode<Value: Decodable>(_ type: Value.Type = Value.self, decoder: JSONDecoder = JSONDecoder()) throws(LambdaError) -> Value
    {
        try withPayload { bytes throws(LambdaError) in try CapeletJSON.decode(type, from: bytes, "payload", decoder) }
    }

    /// Decodes the output of the upstream lambda called `lambda` as JSON. One that is missing or does not fit is a fatal error.
    public func decodeInput<Value: Decodable>(
        _ type: Value.Type = Value.self, from lambda: String, decoder: JSONDecoder = JSONDecoder()
    ) throws(LambdaError) -> Value {
        let value = try withInput(from: lambda) { bytes throws(LambdaError) in
            try CapeletJSON.decode(type, from: bytes, "output of \(lambda)", decoder)
        }
        guard let value else { throw .fatal("there is no output of \(lambda): is this lambda `after: \(lambda)`?") }
        return value
    }

    /// Sets the event's output to `value` as JSON. A value that cannot be encoded is a fatal error.
    public func output(encoding value: some Encodable, encoder: JSONEncoder = JSONEncoder()) throws(LambdaError) {
        try output(CapeletJSON.encode(value, "output", encoder))
    }
}

extension Emission {
    /// An event with a value as JSON for payload. A value that cannot be encoded is a fatal error.
    public init(
        domain: String, subject: String, type: String, id: String? = nil, headers: [Header] = [],
        encoding value: some Encodable, encoder: JSONEncoder = JSONEncoder()
    ) throws(LambdaError) {
        let payload = try CapeletJSON.encode(value, "payload of an event for \(domain)", encoder)
        self.init(domain: domain, subject: subject, type: type, id: id, headers: headers, payload: payload)
    }
}

extension Context {
    /// Decodes the whole `config:`. One that does not fit is an error that names the place in it: let it out of `init(context:)`.
    public func decodeConfig<Value: Decodable>(
        _ type: Value.Type = Value.self, decoder: JSONDecoder = JSONDecoder()
    ) throws(ConfigurationError) -> Value {
        do {
            return try decoder.decode(type, from: Data(configJSON))
        } catch {
            let failure = JSONFailure(error)
            throw ConfigurationError(key: failure.path.isEmpty ? "(top)" : failure.path, value: nil, problem: failure.problem)
        }
    }
}

private func decode<Value: Decodable>(
    _ type: Value.Type, from bytes: UnsafeRawBufferPointer, _ what: String, _ decoder: JSONDecoder
) throws(LambdaError) -> Value {
    let json: Data
    if let start = bytes.baseAddress {
        // Valid as long as `bytes`, and read only before this function returns.
        json = Data(bytesNoCopy: UnsafeMutableRawPointer(mutating: start), count: bytes.count, deallocator: .none)
    } else {
        json = Data()
    }
    do {
        return try decoder.decode(type, from: json)
    } catch {
        let failure = JSONFailure(error)
        throw .fatal("\(what)\(failure.path.isEmpty ? "" : ", \(failure.path)"): \(failure.problem)")
    }
}

private func encode(_ value: some Encodable, _ what: String, _ encoder: JSONEncoder) throws(LambdaError) -> [UInt8] {
    do {
        return [UInt8](try encoder.encode(value))
    } catch {
        throw .fatal("\(what): cannot be written as JSON", cause: error)
    }
}

/// What a JSON decoder has to complain about, in one line.
private struct JSONFailure {
    let path: String
    let problem: String

    init(_ error: any Error) {
        switch error as? DecodingError {
        case .keyNotFound(let key, let context):
            (path, problem) = (Self.path(context.codingPath + [key]), "is missing")
        case .valueNotFound(_, let context):
            (path, problem) = (Self.path(context.codingPath), "is null or missing")
        case .typeMismatch(let type, let context):
            (path, problem) = (Self.path(context.codingPath), "is not of type \(type)")
        case .dataCorrupted(let context):
            let cause = context.underlyingError.map { " (\($0))" } ?? ""
            (path, problem) = (Self.path(context.codingPath), context.debugDescription + cause)
        default:
            (path, problem) = ("", String(describing: error))
        }
    }

    private static func path(_ keys: [any CodingKey]) -> String {
        keys.map { $0.intValue.map(String.init) ?? $0.stringValue }.joined(separator: ".")
    }
}

"""####),
        EmbeddedFile(
            path: "Sources/CapeletSDK/AsyncRunner.swift",
            contents: ####"""
internal import CCapelet
internal import Synchronization

/// Runs an `AsyncLambda`: every event in a task of its own, completed from there.
///
/// The first task of the process is made in `start`, after the fork: Swift's executor and its threads belong to the worker.
final class AsyncRunner<L: AsyncLambda>: Runner, @unchecked Sendable {
    private let lambda: L
    private let runs = Mutex(Runs())

    private struct Runs {
        var tasks: [UInt64: Task<Void, Never>] = [:]
        /// Opened when the last task has ended, once `stop` waits for that.
        var allEnded: Latch?
    }

    init(starting host: Host) throws {
        let context = Context(host: host)
        lambda = try blockingWait { try await L(context: context) }
        super.init(host: host)
    }

    override func handle(_ event: UnsafePointer<capelet_event>, _ result: UnsafeMutablePointer<capelet_result>?) -> Int32 {
        let token = event.pointee.token
        let copy = EventCopy(of: event)
        runs.withLock { runs in
            // The task cannot be forgotten before it is remembered: that needs the lock.
            runs.tasks[token] = Task { await self.run(token, copy) }
        }
        return Int32(bitPattern: CAPELET_PENDING.rawValue)
    }

    private func run(_ token: UInt64, _ copy: EventCopy) async {
        let event = Event(owning: copy, host: host)
        let outcome: Outcome
        do {
            outcome = try await lambda.handle(event)
        } catch {
            outcome = Outcome(throwing: error)
        }
        host.complete(token, outcome)
        forget(token)
    }

    private func forget(_ token: UInt64) {
        runs.withLock { runs in
            runs.tasks[token] = nil
            if runs.tasks.isEmpty { runs.allEnded?.open() }
        }
    }

    override func cancel(_ token: UInt64) {
        let task = runs.withLock { $0.tasks[token] }
        task?.cancel()
    }

    /// Ends when all tasks have. One that does not heed its cancellation holds this up until the host's deadline ends the worker: the
    /// host's functions must not be called once `stop` has returned.
    override func stop() {
        let allEnded = Latch()
        let open = runs.withLock { runs in
            if runs.tasks.isEmpty { allEnded.open() } else { runs.allEnded = allEnded }
            return Array(runs.tasks.values)
        }
        for task in open { task.cancel() }
        allEnded.wait()
        let lambda = lambda
        try? blockingWait { await lambda.stop() }
    }
}

/// Runs `body` in a task and blocks the calling thread until it has ended. Only for the worker's own thread, which is none of Swift's
/// executor.
private func blockingWait<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) throws -> Value {
    let ended = Latch()
    let value = Slot<Result<Value, any Error>>()
    Task {
        do {
            value.put(.success(try await body()))
        } catch {
            value.put(.failure(error))
        }
        ended.open()
    }
    ended.wait()
    return try value.take().get()
}

/// A place for one value that is put in before it is taken.
private final class Slot<Value: Sendable>: Sendable {
    private let value = Mutex<Value?>(nil)

    func put(_ value: Value) { self.value.withLock { $0 = value } }

    func take() -> Value {
        guard let value = value.withLock({ $0 }) else { preconditionFailure("taken before it was put in") }
        return value
    }
}

"""####),
        EmbeddedFile(
            path: "Sources/CapeletSDK/Batch.swift",
            contents: ####"""
internal import CCapelet

/// Several events, lent to the handler of a `BatchLambda`. Events of one subject appear in order.
public struct Batch: ~Copyable {
    private let events: UnsafePointer<UnsafePointer<capelet_event>?>
    private let statuses: UnsafeMutablePointer<Int32>
    private let results: UnsafePointer<UnsafeMutablePointer<capelet_result>?>
    private let host: Host

    /// The number of events, at least 1.
    public let count: Int

    init(
        events: UnsafePointer<UnsafePointer<capelet_event>?>, count: Int, statuses: UnsafeMutablePointer<Int32>,
        results: UnsafePointer<UnsafeMutablePointer<capelet_result>?>, host: Host
    ) {
        self.events = events
        self.count = count
        self.statuses = statuses
        self.results = results
        self.host = host
    }

    /// Calls `body` with each event, in order. What it returns or throws becomes that event's outcome. After an event that did not
    /// succeed, the later ones of its subject are left out: the host will run them again, in order, after it.
    public func forEach(_ body: (borrowing Event) throws -> Outcome) {
        var failed: [Int] = []
        for index in 0..<count {
            if !failed.isEmpty, failed.contains(where: { hasSameSubject($0, index) }) {
                setOutcome(.retry("an earlier event of this subject did not succeed"), at: index)
                continue
            }
            let outcome: Outcome
            do {
                outcome = try withEvent(at: index, body)
            } catch {
                outcome = Outcome(throwing: error)
            }
            setOutcome(outcome, at: index)
            if outcome != .success { failed.append(index) }
        }
    }

    /// Lends the event at `index`, 0 to `count` - 1.
    public func withEvent<Result, Failure: Error>(
        at index: Int, _ body: (borrowing Event) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(Event(viewing: pointer(at: index), host: host))
    }

    /// Sets the outcome of the event at `index`, 0 to `count` - 1.
    public func setOutcome(_ outcome: Outcome, at index: Int) {
        precondition(index >= 0 && index < count, "event \(index) of a batch of \(count)")
        statuses[index] = outcome.write(to: results[index])
    }

    /// Sets the outcome of every event, for instance when the transaction around them failed.
    public func setOutcomes(_ outcome: Outcome) {
        for index in 0..<count { setOutcome(outcome, at: index) }
    }

    private func pointer(at index: Int) -> UnsafePointer<capelet_event> {
        precondition(index >= 0 && index < count, "event \(index) of a batch of \(count)")
        guard let event = events[index] else { preconditionFailure("the host left out event \(index) of a batch") }
        return event
    }

    private func hasSameSubject(_ left: Int, _ right: Int) -> Bool {
        let left = pointer(at: left), right = pointer(at: right)
        return left.pointee.subject.buffer.elementsEqual(right.pointee.subject.buffer)
            && left.pointee.domain.buffer.elementsEqual(right.pointee.domain.buffer)
    }
}

"""####),
        EmbeddedFile(
            path: "Sources/CapeletSDK/CapeletSDK.swift",
            contents: ####"""
// CapeletSDK: lambdas in Swift, over the C interface of capelet.h.
//
// The way of a call: the host calls one of the C functions in Plugin.swift; that finds the worker's Runner, which wraps the C event
// in an `Event`, calls the lambda and writes its `Outcome` into the C result. There is one Runner for each kind of lambda: LambdaRunner,
// BatchRunner, AsyncRunner.
//
// Invariants
// - A plugin that imports only this module links the Swift runtime and libc: no Foundation, no Dispatch call of our own.
// - Nothing runs at load time. The table is made by the first call of the entry point, without threads, tasks or I/O: the host
//   calls that before it forks workers. Lambdas are made in `start`, after the fork.
// - An `Event` cannot outlive the bytes that it shows: it is not copyable and is only lent to a handler. That of an async handler
//   owns a copy of its bytes.
// - The path of an event through a plain `Lambda` does not allocate.
//
// Threads: one worker's `init`, `handle` and `stop` run on one thread, one after another. Async handlers run on Swift's global
// executor. All functions of the host may be called from any thread.

public import CCapelet

/// What a plugin's entry point `capelet_plugin_v1` returns: see `Plugin`.
public typealias PluginTable = UnsafePointer<capelet_plugin>

"""####),
        EmbeddedFile(
            path: "Sources/CapeletSDK/Configuration.swift",
            contents: ####"""
internal import CCapelet

/// The lambda's `config:`, read value by value.
///
/// Nested keys are joined with dots (`retry.count`); elements of a list are numbered from 0 (`paths.0`). A value that is there but
/// cannot be read as what was asked for is a `ConfigurationError` that names the key, the value and what would be right: let it out of
/// `init(context:)`.
public struct Configuration: Sendable {
    let host: Host

    /// The text of a value, or nil if there is no such key.
    public func string(_ key: String) -> String? { host.config(key).map { String($0) } }

    /// The text of a value, or `fallback` if there is no such key.
    public func string(_ key: String, default fallback: String) -> String { string(key) ?? fallback }

    /// The text of a value that has to be there and not be empty.
    public func requiredString(_ key: String) throws(ConfigurationError) -> String {
        guard let text = string(key), !text.isEmpty else { throw ConfigurationError(key: key, value: nil, problem: "is required") }
        return text
    }

    /// The elements of a list of texts; empty if there is no such key.
    public func strings(_ key: String) -> [String] {
        var all: [String] = []
        while let next = string("\(key).\(all.count)") { all.append(next) }
        return all
    }

    /// A whole number, or nil if there is no such key. One outside of `range` is an error.
    public func int(_ key: String, in range: ClosedRange<Int> = Int.min...Int.max) throws(ConfigurationError) -> Int? {
        guard let text = string(key) else { return nil }
        guard let number = Int(text) else { throw ConfigurationError(key: key, value: text, problem: "is not a whole number") }
        guard range.contains(number) else {
            throw ConfigurationError(key: key, value: text, problem: "is not between \(range.lowerBound) and \(range.upperBound)")
        }
        return number
    }

    /// A whole number, or `fallback` if there is no such key.
    public func int(_ key: String, default fallback: Int, in range: ClosedRange<Int> = Int.min...Int.max) throws(ConfigurationError) -> Int
    {
        try int(key, in: range) ?? fallback
    }

    /// A number, or nil if there is no such key.
    public func double(_ key: String) throws(ConfigurationError) -> Double? {
        guard let text = string(key) else { return nil }
        guard let number = Double(text), number.isFinite else {
            throw ConfigurationError(key: key, value: text, problem: "is not a number")
        }
        return number
    }

    /// A number, or `fallback` if there is no such key.
    public func double(_ key: String, default fallback: Double) throws(ConfigurationError) -> Double { try double(key) ?? fallback }

    /// `true` or `false`, or nil if there is no such key.
    public func bool(_ key: String) throws(ConfigurationError) -> Bool? {
        switch string(key) {
        case nil: nil
        case "true": true
        case "false": false
        case let text?: throw ConfigurationError(key: key, value: text, problem: "is neither true nor false")
        }
    }

    /// `true` or `false`, or `fallback` if there is no such key.
    public func bool(_ key: String, default fallback: Bool) throws(ConfigurationError) -> Bool { try bool(key) ?? fallback }

    /// A length of time such as `250ms`, `30s`, `5m`, `1h`, `7d`, or nil if there is no such key.
    public func duration(_ key: String) throws(ConfigurationError) -> Duration? {
        guard let text = string(key) else { return nil }
        guard let duration = ConfigurationText.duration(text) else {
            throw ConfigurationError(key: key, value: text, problem: "is not a duration; write a number with a unit: us, ms, s, m, h or d")
        }
        return duration
    }

    /// A length of time, or `fallback` if there is no such key.
    public func duration(_ key: String, default fallback: Duration) throws(ConfigurationError) -> Duration {
        try duration(key) ?? fallback
    }

    /// A number of bytes such as `4096`, `64KiB`, `4MiB`, `1GiB`, or nil if there is no such key. One outside of `range` is an error.
    public func byteCount(_ key: String, in range: ClosedRange<Int> = 0...Int.max) throws(ConfigurationError) -> Int? {
        guard let text = string(key) else { return nil }
        guard let count = ConfigurationText.byteCount(text) else {
            throw ConfigurationError(
                key: key, value: text, problem: "is not a size; write a number of bytes or one with a unit: KiB, MiB or GiB")
        }
        guard range.contains(count) else {
            throw ConfigurationError(key: key, value: text, problem: "is not between \(range.lowerBound) and \(range.upperBound) bytes")
        }
        return count
    }

    /// A number of bytes, or `fallback` if there is no such key.
    public func byteCount(_ key: String, default fallback: Int, in range: ClosedRange<Int> = 0...Int.max) throws(ConfigurationError) -> Int
    {
        try byteCount(key, in: range) ?? fallback
    }
}

/// A value of `config:` that a lambda cannot work with. As the outcome of an event it is fatal.
public struct ConfigurationError: OutcomeError, Equatable, CustomStringConvertible {
    /// The key, nested ones joined with dots.
    public var key: String
    /// The value's text; nil if the key is missing. Leave it out for secrets.
    public var value: String?
    /// What is wrong with it, and what would be right: "is not a whole number".
    public var problem: String

    /// An error about `key`.
    public init(key: String, value: String?, problem: String) {
        self.key = key
        self.value = value
        self.problem = problem
    }

    /// `config: port: "x" is not a whole number`
    public var description: String {
        if let value { "config: \(key): \"\(value)\" \(problem)" } else { "config: \(key) \(problem)" }
    }

    /// `.fatal`, with the description.
    public var outcome: Outcome { .fatal(description) }
}

/// Durations and sizes as the routing file writes them.
enum ConfigurationText {
    /// A decimal number and a unit, without a space; `0` needs no unit. Nil if it is not one.
    static func duration(_ text: String) -> Duration? {
        guard let (number, unit) = split(text) else { return nil }
        let microseconds: Double
        switch unit {
        case "us": microseconds = number
        case "ms": microseconds = number * 1e3
        case "s": microseconds = number * 1e6
        case "m", "min": microseconds = number * 60e6
        case "h": microseconds = number * 3600e6
        case "d": microseconds = number * 86_400e6
        case "" where number == 0: microseconds = 0
        default: return nil
        }
        guard microseconds < 9e18 else { return nil }
        return .microseconds(Int64(microseconds.rounded()))
    }

    /// A decimal number with or without a unit. Nil if it is not one.
    static func byteCount(_ text: String) -> Int? {
        guard let (number, unit) = split(text) else { return nil }
        let bytes: Double
        switch unit {
        case "", "B": bytes = number
        case "KiB": bytes = number * 1024
        case "MiB": bytes = number * 1_048_576
        case "GiB": bytes = number * 1_073_741_824
        case "KB", "kB": bytes = number * 1e3
        case "MB": bytes = number * 1e6
        case "GB": bytes = number * 1e9
        default: return nil
        }
        guard bytes < 9e18, bytes == bytes.rounded() else { return nil }
        return Int(bytes)
    }

    private static func split(_ text: String) -> (number: Double, unit: Substring)? {
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        guard let first = digits.first, first != ".", digits.last != ".", let number = Double(digits), number.isFinite else { return nil }
        return (number, text[digits.endIndex...])
    }
}

"""####),
        EmbeddedFile(
            path: "Sources/CapeletSDK/Context.swift",
            contents: ####"""
internal import CCapelet

/// What a lambda is told about its worker when it starts. Valid until `stop` has returned; may be used from any thread.
public struct Context: Sendable {
    let host: Host

    init(host: Host) { self.host = host }

    /// The lambda's name in the routing file: the name under which others see its outputs.
    public var lambda: String { String(host.table.pointee.lambda) }

    /// The name by which the plugin exports the lambda. Another than `lambda` where the routing file uses it under a name of its own.
    public var entry: String { host.entry.map { String(cString: $0.pointee.name) } ?? lambda }

    /// The path of a folder of the lambda's own: writable, kept across restarts and reloads, and shared by all its workers.
    public var stateDirectory: String { String(host.table.pointee.state_directory) }

    /// 0 for the first worker of the lambda, then 1, 2 and so on, up to `workers:` - 1.
    public var workerIndex: Int { Int(host.table.pointee.worker_index) }

    /// The lambda's `config:`, value by value.
    public var config: Configuration { Configuration(host: host) }

    /// The lambda's `config:` as one JSON object.
    public var configJSON: [UInt8] { [UInt8](host.table.pointee.config_json.buffer) }

    /// The lambda's log, with lines tied to no event.
    public var log: LambdaLog { LambdaLog(host: host, token: 0) }
}

"""####),
        EmbeddedFile(
            path: "Sources/CapeletSDK/Event+Effects.swift",
            contents: ####"""
internal import CCapelet

extension Event {
    /// The lambda's log, with lines tied to this event.
    public var log: LambdaLog { LambdaLog(host: host, token: token) }

    /// Whether this run's result is no longer wanted (deadline, shutdown). Look at it in long loops, and end as soon as you can.
    public var isCancelled: Bool { host.isCancelled(token) }

    /// Asks for `duration` from now before this run counts as timed out. The host grants it up to the lambda's `timeout-max`.
    public func extend(by duration: Duration) throws(LambdaError) {
        try host.extend(token, millis: duration.millisecondsRoundedUp)
    }

    /// Sets the event's output: the input of the lambdas that come `after:` this one. A second call replaces the first. Up to 1 MiB.
    /// Kept only if the run succeeds.
    public func output(_ bytes: UnsafeRawBufferPointer) throws(LambdaError) {
        try host.output(token) { $0(bytes) }
    }

    /// Sets the event's output: see `output(_:)` of raw bytes.
    public func output(_ bytes: [UInt8]) throws(LambdaError) {
        try host.output(token) { body in bytes.withUnsafeBytes { body($0) } }
    }

    /// Sets the event's output to UTF-8 text: see `output(_:)` of raw bytes.
    public func output(_ text: String) throws(LambdaError) {
        try host.output(token) { text.withBytes($0) }
    }

    /// Emits an event. It is committed with this run's success, exactly once, or not at all. At most 1,000 in one run, and 16 MiB in all.
    /// A domain that the routing file does not have makes the run fail as fatal when it ends.
    public func emit(_ emission: Emission) throws(LambdaError) {
        try host.emit(token, emission)
    }
}

/// An event that a lambda wants to come about. The host gives it offset and sequence and, where absent, id and time.
public struct Emission: Sendable, Equatable {
    /// One header.
    public struct Header: Sendable, Equatable {
        /// Lower case.
        public var name: String
        /// Text without line breaks.
        public var value: String

        /// A header.
        public init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    /// The domain to emit to. It has to be in the routing file.
    public var domain: String
    /// The entity that changes.
    public var subject: String
    /// What happens to it.
    public var type: String
    /// Nil: the host makes an id from the emitting event and the number of the emit, so that a repeat is recognised.
    public var id: String?
    /// Headers, in order.
    public var headers: [Header]
    /// The payload.
    public var payload: [UInt8]

    /// An event with a payload of bytes.
    public init(domain: String, subject: String, type: String, id: String? = nil, headers: [Header] = [], payload: [UInt8] = []) {
        self.domain = domain
        self.subject = subject
        self.type = type
        self.id = id
        self.headers = headers
        self.payload = payload
    }

    /// An event with a payload of UTF-8 text.
    public init(domain: String, subject: String, type: String, id: String? = nil, headers: [Header] = [], text: String) {
        self.init(domain: domain, subject: subject, type: type, id: id, headers: headers, payload: Array(text.utf8))
    }
}

"""####),
        EmbeddedFile(
            path: "Sources/CapeletSDK/Event.swift",
            contents: ####"""
internal import CCapelet

/// One event, lent to a handler.
///
/// An event is a view of bytes that lie in memory shared with the host: reading a property makes the value then, so keep what you use more
/// than once. It cannot be copied or kept; take what you need out of it. All of it may be used from any thread.
public struct Event: ~Copyable, @unchecked Sendable {
    let raw: UnsafePointer<capelet_event>
    let host: Host
    /// The memory that holds `raw` and all it points to, where this event owns a copy.
    private let storage: UnsafeMutableRawPointer?

    /// A view of an event that lives until its handler returns.
    init(viewing raw: UnsafePointer<capelet_event>, host: Host) {
        self.raw = raw
        self.host = host
        self.storage = nil
    }

    /// An event that owns its bytes, and frees them.
    init(owning copy: EventCopy, host: Host) {
        self.raw = copy.event
        self.host = host
        self.storage = copy.storage
    }

    deinit { storage?.deallocate() }
}

extension Event {
    /// The domain that the event belongs to.
    public var domain: String { String(raw.pointee.domain) }

    /// The entity that changed. Order is kept within one subject.
    public var subject: String { String(raw.pointee.subject) }

    /// Increasing within the subject; gaps are legal. An event with a sequence that you have already seen for its subject is a repeat.
    public var sequence: UInt64 { raw.pointee.sequence }

    /// The event's position in the journal of its domain.
    public var offset: UInt64 { raw.pointee.offset }

    /// What happened, as the producer named it.
    public var type: String { String(raw.pointee.type) }

    /// The producer's id of the event; the same for every repeat.
    public var id: String { String(raw.pointee.id) }

    /// When it happened.
    public var time: EventTime { EventTime(microseconds: raw.pointee.time_micros) }

    /// 1 for the first run of this event by this lambda, then 2, 3 and so on.
    public var attempt: Int { Int(raw.pointee.attempt) }

    /// Whether an operator took this event out of the dead letters. It may come out of the order of its subject.
    public var isRedriven: Bool { raw.pointee.flags & UInt32(CAPELET_EVENT_REDRIVEN) != 0 }

    /// Whether an operator asked for this event to be delivered again. It may come out of the order of its subject.
    public var isReplayed: Bool { raw.pointee.flags & UInt32(CAPELET_EVENT_REPLAYED) != 0 }

    /// Names this run of the event within the worker; never used again.
    public var token: UInt64 { raw.pointee.token }

    /// Whether the event has exactly this type. Does not make a string.
    public func isType(_ type: String) -> Bool { raw.pointee.type.equals(type) }

    /// The size of the payload in bytes.
    public var payloadSize: Int { raw.pointee.payload.size }

    /// A copy of the payload.
    public var payload: [UInt8] { [UInt8](raw.pointee.payload.buffer) }

    /// The payload as text, or nil if it is not UTF-8.
    public var text: String? { String(validating: raw.pointee.payload.buffer, as: UTF8.self) }

    /// Lends the payload without copying it. The buffer is valid only within `body`.
    public func withPayload<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(raw.pointee.payload.buffer)
    }

    /// Lends the bytes of the subject without making a string. The buffer is valid only within `body`.
    public func withSubject<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(raw.pointee.subject.buffer)
    }
}

// MARK: - Headers

extension Event {
    /// The value of a header, or nil. Names are lower case.
    public func header(_ name: String) -> String? {
        rawHeader(name).map { String($0) }
    }

    /// The bytes of a header's value, or nil: for values that need not be text.
    public func headerBytes(_ name: String) -> [UInt8]? {
        rawHeader(name).map { [UInt8]($0.buffer) }
    }

    /// All headers, in the producer's order.
    public var headers: [(name: String, value: String)] {
        rawHeaders.map { (name: String($0.name), value: String($0.value)) }
    }

    private var rawHeaders: UnsafeBufferPointer<capelet_header> {
        UnsafeBufferPointer(start: raw.pointee.headers, count: raw.pointee.headers == nil ? 0 : Int(raw.pointee.header_count))
    }

    private func rawHeader(_ name: String) -> capelet_bytes? {
        for header in rawHeaders where header.name.equals(name) { return header.value }
        return nil
    }
}

// MARK: - Inputs

extension Event {
    /// The names of the upstream lambdas (`after:`) whose outputs came with this event.
    public var inputNames: [String] { rawInputs.map { String($0.lambda) } }

    /// The output of the upstream lambda called `lambda`, or nil where there is none.
    public func input(from lambda: String) -> [UInt8]? {
        rawInput(from: lambda).map { [UInt8]($0.buffer) }
    }

    /// Lends the output of the upstream lambda called `lambda` without copying it; nil where there is none. The buffer is valid only
    /// within `body`.
    public func withInput<Result, Failure: Error>(
        from lambda: String, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result? {
        guard let input = rawInput(from: lambda) else { return nil }
        return try body(input.buffer)
    }

    private var rawInputs: UnsafeBufferPointer<capelet_input> {
        UnsafeBufferPointer(start: raw.pointee.inputs, count: raw.pointee.inputs == nil ? 0 : Int(raw.pointee.input_count))
    }

    private func rawInput(from lambda: String) -> capelet_bytes? {
        for input in rawInputs where input.lambda.equals(lambda) { return input.output }
        return nil
    }
}

"""####),
        EmbeddedFile(
            path: "Sources/CapeletSDK/EventCopy.swift",
            contents: ####"""
internal import CCapelet

/// A copy of a C event and of everything that it points to, in one block of memory: the event, its headers, its inputs, then all bytes.
///
/// Invariant: nothing changes the block after `init`, and one `Event` owns it; hence Sendable.
struct EventCopy: @unchecked Sendable {
    /// Lies within `storage`.
    let event: UnsafePointer<capelet_event>
    /// Freed by the `Event` that owns it.
    let storage: UnsafeMutableRawPointer

    init(of original: UnsafePointer<capelet_event>) {
        let headers = UnsafeBufferPointer(
            start: original.pointee.headers, count: original.pointee.headers == nil ? 0 : Int(original.pointee.header_count))
        let inputs = UnsafeBufferPointer(
            start: original.pointee.inputs, count: original.pointee.inputs == nil ? 0 : Int(original.pointee.input_count))

        var size = MemoryLayout<capelet_event>.stride
        let headersOffset = size
        size += headers.count * MemoryLayout<capelet_header>.stride
        let inputsOffset = size
        size += inputs.count * MemoryLayout<capelet_input>.stride
        var writer = BytesWriter(at: size)
        size += original.pointee.domain.size + original.pointee.subject.size + original.pointee.type.size
        size += original.pointee.id.size + original.pointee.payload.size
        for header in headers { size += header.name.size + header.value.size }
        for input in inputs { size += input.lambda.size + input.output.size }

        storage = .allocate(byteCount: size, alignment: MemoryLayout<capelet_event>.alignment)
        writer.base = storage

        var copy = original.pointee
        copy.struct_size = UInt32(MemoryLayout<capelet_event>.size)
        copy.domain = writer.write(copy.domain)
        copy.subject = writer.write(copy.subject)
        copy.type = writer.write(copy.type)
        copy.id = writer.write(copy.id)
        copy.payload = writer.write(copy.payload)

        let newHeaders = (storage + headersOffset).bindMemory(to: capelet_header.self, capacity: headers.count)
        for (index, header) in headers.enumerated() {
            let value = capelet_header(name: writer.write(header.name), value: writer.write(header.value))
            (newHeaders + index).initialize(to: value)
        }
        let newInputs = (storage + inputsOffset).bindMemory(to: capelet_input.self, capacity: inputs.count)
        for (index, input) in inputs.enumerated() {
            let value = capelet_input(lambda: writer.write(input.lambda), output: writer.write(input.output))
            (newInputs + index).initialize(to: value)
        }
        copy.headers = UnsafePointer(newHeaders)
        copy.inputs = UnsafePointer(newInputs)
        copy.header_count = UInt32(headers.count)
        copy.input_count = UInt32(inputs.count)

        let pointer = storage.bindMemory(to: capelet_event.self, capacity: 1)
        pointer.initialize(to: copy)
        event = UnsafePointer(pointer)
    }
}

/// Puts byte strings one after another into a block.
private struct BytesWriter {
    var base: UnsafeMutableRawPointer?
    var at: Int

    init(at: Int) { self.at = at }

    mutating func write(_ bytes: capelet_bytes) -> capelet_bytes {
        guard let base, let data = bytes.data, bytes.size > 0 else { return capelet_bytes(data: nil, size: 0) }
        let target = base + at
        target.copyMemory(from: data, byteCount: bytes.size)
        at += bytes.size
        return capelet_bytes(data: UnsafeRawPointer(target), size: bytes.size)
    }
}

"""####),
        EmbeddedFile(
            path: "Sources/CapeletSDK/EventTime.swift",
            contents: ####"""
/// A moment in microseconds since 1970-01-01T00:00:00Z. Prints as RFC 3339, `2026-01-31T12:00:00.250000Z`.
public struct EventTime: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// Microseconds since 1970-01-01T00:00:00Z.
    public var microseconds: Int64

    /// The moment `microseconds` after 1970-01-01T00:00:00Z.
    public init(microseconds: Int64) { self.microseconds = microseconds }

    /// Seconds since 1970-01-01T00:00:00Z; what `Date(timeIntervalSince1970:)` takes.
    public var seconds: Double { Double(microseconds) / 1_000_000 }

    /// Earlier is less.
    public static func < (left: EventTime, right: EventTime) -> Bool { left.microseconds < right.microseconds }

    /// RFC 3339 in UTC with microseconds.
    public var description: String {
        let (day, microOfDay) = microseconds.flooredDivision(by: 86_400_000_000)
        let (year, month, dayOfMonth) = Self.civil(fromDay: day)
        let (second, micro) = microOfDay.quotientAndRemainder(dividingBy: 1_000_000)
        let date = "\(Self.padded(year, 4))-\(Self.padded(month, 2))-\(Self.padded(dayOfMonth, 2))"
        let clock = "\(Self.padded(second / 3600, 2)):\(Self.padded(second / 60 % 60, 2)):\(Self.padded(second % 60, 2))"
        return "\(date)T\(clock).\(Self.padded(micro, 6))Z"
    }

    /// Gregorian date of a day counted from 1970-01-01. Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms",
    /// civil_from_days.
    private static func civil(fromDay day: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let (era, dayOfEra) = (day + 719_468).flooredDivision(by: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * monthFromMarch + 2) / 5 + 1)
    }

    private static func padded(_ number: Int64, _ width: Int) -> String {
        let digits = String(number.magnitude)
        return (number < 0 ? "-" : "") + String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}

extension Int64 {
    fileprivate func flooredDivision(by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}

"""####),
        EmbeddedFile(
            path: "Sources/CapeletSDK/Host.swift",
            contents: ####"""
internal import CCapelet

/// The table of functions that the host hands in: a thin wrapper that turns codes into errors.
///
/// Invariant: `table` is valid from `start` until `stop` has returned, and its functions may be called from any thread; hence Sendable.
struct Host: @unchecked Sendable {
    let table: UnsafePointer<capelet_host>

    /// The element of the plugin's table that this worker runs; nil from a host that does not say.
    var entry: UnsafePointer<capelet_lambda>? {
        let end = MemoryLayout<capelet_host>.offset(of: \capelet_host.entry)! + MemoryLayout<UnsafeRawPointer>.size
        return Int(table.pointee.struct_size) >= end ? table.pointee.entry : nil
    }

    func config(_ key: String) -> capelet_bytes? {
        guard let config = table.pointee.config else { return nil }
        var value = capelet_bytes(data: nil, size: 0)
        return key.withCString { config(table, $0, &value) } == 0 ? value : nil
    }

    func log(_ token: UInt64, _ level: Int32, _ text: UnsafeRawBufferPointer) {
        guard let log = table.pointee.log else { return }
        // An empty buffer may have no address; the host gets one that it may look at.
        guard let start = text.baseAddress else { return "".withCString { log(table, token, level, $0, 0) } }
        log(table, token, level, start.assumingMemoryBound(to: CChar.self), text.count)
    }

    /// `lend` lends the bytes: an array's, a string's or a caller's own.
    func output(_ token: UInt64, _ lend: ((UnsafeRawBufferPointer) -> Void) -> Void) throws(LambdaError) {
        guard let output = table.pointee.output else { throw .fatal("output: this host has no outputs") }
        var code: Int32 = 0
        var size = 0
        lend { bytes in
            size = bytes.count
            code = output(table, token, bytes.baseAddress, bytes.count)
        }
        try check(code, "output of \(size) bytes", limit: "1 MiB")
    }

    func extend(_ token: UInt64, millis: UInt64) throws(LambdaError) {
        guard let extend = table.pointee.extend else { throw .fatal("extend: this host cannot extend deadlines") }
        try check(extend(table, token, millis), "extend", limit: "timeout-max")
    }

    func isCancelled(_ token: UInt64) -> Bool {
        guard let isCancelled = table.pointee.is_cancelled else { return false }
        return isCancelled(table, token) == 1
    }

    func complete(_ token: UInt64, _ outcome: Outcome) {
        guard let complete = table.pointee.complete else { return }
        guard outcome != .success else {
            _ = complete(table, token, Int32(bitPattern: CAPELET_SUCCESS.rawValue), nil)
            return
        }
        var result = capelet_result()
        result.struct_size = UInt32(MemoryLayout<capelet_result>.size)
        let status = outcome.write(to: &result)
        _ = complete(table, token, status, &result)
    }

    func emit(_ token: UInt64, _ emission: Emission) throws(LambdaError) {
        guard let emit = table.pointee.emit else { throw .fatal("emit: this host cannot emit") }
        // One block of bytes that all the C strings point into: names and values of headers as well, however many there are.
        var block: [UInt8] = []
        var sizes: [Int] = []
        func add(_ bytes: some Collection<UInt8>) {
            block.append(contentsOf: bytes)
            sizes.append(bytes.count)
        }
        add(emission.domain.utf8)
        add(emission.subject.utf8)
        add(emission.type.utf8)
        add((emission.id ?? "").utf8)
        for header in emission.headers {
            add(header.name.utf8)
            add(header.value.utf8)
        }
        let code = block.withUnsafeBytes { block in
            emission.payload.withUnsafeBytes { payload in
                var at = 0
                var next = 0
                func take() -> capelet_bytes {
                    defer { (at, next) = (at + sizes[next], next + 1) }
                    return capelet_bytes(data: sizes[next] == 0 ? nil : block.baseAddress! + at, size: sizes[next])
                }
                var raw = capelet_emit()
                raw.struct_size = UInt32(MemoryLayout<capelet_emit>.size)
                raw.header_count = UInt32(emission.headers.count)
                raw.domain = take()
                raw.subject = take()
                raw.type = take()
                raw.id = take()
                raw.payload = capelet_bytes(data: payload.baseAddress, size: payload.count)
                let headers = emission.headers.map { _ in capelet_header(name: take(), value: take()) }
                return headers.withUnsafeBufferPointer { headers in
                    raw.headers = headers.baseAddress
                    return emit(table, token, &raw)
                }
            }
        }
        try check(code, "emit to \(emission.domain)", limit: "1,000 events and 16 MiB")
    }

    private func check(_ code: Int32, _ what: @autoclosure () -> String, limit: String) throws(LambdaError) {
        switch code {
        case 0: return
        case Int32(CAPELET_ELIMIT): throw .fatal("\(what()): over the limit of \(limit)")
        case Int32(CAPELET_EGONE): throw .retry("\(what()): the run was already completed, or its deadline has passed")
        case Int32(CAPELET_EINVAL):
            throw .fatal("\(what()): the host refused an argument: an empty subject, or text that is not allowed there")
        default: throw .fatal("\(what()): the host answered \(code)")
        }
    }
}

extension Outcome {
    /// Fills in a C result (nil: the host does not want more) and returns the status.
    func write(to result: UnsafeMutablePointer<capelet_result>?) -> Int32 {
        switch self {
        case .success:
            return Int32(bitPattern: CAPELET_SUCCESS.rawValue)
        case .retry(let message, let after):
            result?.pointee.retry_after_millis = after?.millisecondsRoundedUp ?? 0
            result?.write(message: message)
            return Int32(bitPattern: CAPELET_RETRY.rawValue)
        case .fatal(let message):
            result?.write(message: message)
            return Int32(bitPattern: CAPELET_FATAL.rawValue)
        }
    }
}

extension UnsafeMutablePointer<capelet_result> {
    /// Writes the message, terminated; one that is too long is cut between two characters.
    func write(message: String) {
        let capacity = MemoryLayout.size(ofValue: pointee.message)
        let field = UnsafeMutableRawPointer(self) + MemoryLayout<capelet_result>.offset(of: \capelet_result.message)!
        message.withBytes { bytes in
            var count = Swift.min(bytes.count, capacity - 1)
            while count > 0, count < bytes.count, bytes[count] & 0xC0 == 0x80 { count -= 1 }
            if let start = bytes.baseAddress { field.copyMemory(from: start, byteCount: count) }
            field.storeBytes(of: 0, toByteOffset: count, as: UInt8.self)
        }
    }
}

extension Duration {
    /// Whole milliseconds, rounded up; 0 for a negative duration.
    var millisecondsRoundedUp: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let (whole, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1000)
        return overflow ? .max / 2 : whole + UInt64((attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }
}

extension capelet_bytes {
    /// The bytes, without an owner.
    var buffer: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: data, count: data == nil ? 0 : size) }

    /// Whether these are exactly the bytes of `text`. Does not allocate.
    func equals(_ text: String) -> Bool {
        text.utf8.count == buffer.count && text.utf8.elementsEqual(buffer)
    }
}

extension String {
    /// The text of `bytes`; what is not UTF-8 in it is replaced.
    init(_ bytes: capelet_bytes) { self.init(decoding: bytes.buffer, as: UTF8.self) }

    /// Lends the UTF-8 bytes.
    func withBytes(_ body: (UnsafeRawBufferPointer) -> Void) {
        var text = self
        text.withUTF8 { body(UnsafeRawBufferPointer($0)) }
    }
}

"""####),
        EmbeddedFile(
            path: "Sources/CapeletSDK/Lambda.swift",
            contents: ####"""
/// A lambda that handles one event at a time.
///
/// ```swift
/// struct Hello: Lambda {
///     init(context: Context) throws {}
///
///     func handle(_ event: borrowing Event) throws -> Outcome {
///         event.log.info("\(event.type) of \(event.subject)")
///         return .success
///     }
/// }
/// ```
///
/// There is one instance in each worker process. It is made, used and stopped on one thread, so it may keep state without locks.
public protocol Lambda: SendableMetatype {
    /// Called once in each worker, before the first event: read the configuration, open files and connections. An error is a failed
    /// start; its description is shown to the operator.
    init(context: Context) throws

    /// Handles one event. A thrown error counts as `.retry` with its description, unless it is an `OutcomeError`, which says itself
    /// what it counts as.
    ///
    /// The same event can come more than once: an effect outside of Capelet should be harmless when repeated.
    mutating func handle(_ event: borrowing Event) throws -> Outcome

    /// Called once when the worker ends in good order. Not called when it is killed. Does nothing by default.
    mutating func stop()
}

extension Lambda {
    /// Does nothing.
    public mutating func stop() {}
}

/// A lambda that handles several events at once, for instance in one transaction of a database.
///
/// There is one instance in each worker process. It is made, used and stopped on one thread, so it may keep state without locks.
public protocol BatchLambda: SendableMetatype {
    /// The most events in one call, 1 to 1,024. By default 64.
    static var batchMax: Int { get }

    /// Called once in each worker, before the first event: see `Lambda.init(context:)`.
    init(context: Context) throws

    /// Handles the events of `batch`, usually with `Batch.forEach`. An event that is given no outcome has succeeded. A thrown error is the
    /// outcome of every event of the batch.
    mutating func handle(_ batch: borrowing Batch) throws

    /// Called once when the worker ends in good order. Not called when it is killed. Does nothing by default.
    mutating func stop()
}

extension BatchLambda {
    /// 64.
    public static var batchMax: Int { 64 }

    /// Does nothing.
    public mutating func stop() {}
}

/// A lambda whose handler is `async`: one worker can wait for many events at once, as many as the lambda's `concurrency:` allows.
///
/// There is one instance in each worker process; several events are handled in it at the same time, on Swift's global executor. Events
/// of one subject still come one after another. The handler's task is cancelled when its result is no longer wanted (deadline,
/// shutdown). Nothing may wait for the main actor: a worker does not run one.
public protocol AsyncLambda: Sendable {
    /// Called once in each worker, before the first event: see `Lambda.init(context:)`.
    init(context: Context) async throws

    /// Handles one event. Errors count as they do in `Lambda.handle(_:)`.
    func handle(_ event: borrowing Event) async throws -> Outcome

    /// Called once when the worker ends in good order, after all handlers have ended. Does nothing by default.
    func stop() async
}

extension AsyncLambda {
    /// Does nothing.
    public func stop() async {}
}

"""####),
        EmbeddedFile(
            path: "Sources/CapeletSDK/LambdaLog.swift",
            contents: ####"""
internal import CCapelet

/// How grave a line in the log is.
public enum LogLevel: Int32, Sendable, Comparable, CaseIterable {
    /// Every step, for finding a fault.
    case trace = 0
    /// What a developer wants to know.
    case debug = 1
    /// What happens in normal work.
    case info = 2
    /// Normal, but worth knowing.
    case notice = 3
    /// Wrong, but dealt with.
    case warning = 4
    /// Wrong, and somebody has to act.
    case error = 5

    /// Less grave is less.
    public static func < (left: LogLevel, right: LogLevel) -> Bool { left.rawValue < right.rawValue }
}

/// A lambda's log. Lines over 8 KiB are cut, and a flood is cut by the host. May be used from any thread until `stop` has returned.
public struct LambdaLog: Sendable {
    let host: Host
    let token: UInt64

    /// Writes a line.
    public func write(_ level: LogLevel, _ message: String) {
        message.withBytes { host.log(token, level.rawValue, $0) }
    }

    /// Writes a line of level trace.
    public func trace(_ message: String) { write(.trace, message) }

    /// Writes a line of level debug.
    public func debug(_ message: String) { write(.debug, message) }

    /// Writes a line of level info.
    public func info(_ message: String) { write(.info, message) }

    /// Writes a line of level notice.
    public func notice(_ message: String) { write(.notice, message) }

    /// Writes a line of level warning.
    public func warning(_ message: String) { write(.warning, message) }

    /// Writes a line of level error.
    public func error(_ message: String) { write(.error, message) }
}

"""####),
        EmbeddedFile(
            path: "Sources/CapeletSDK/Latch.swift",
            contents: ####"""
#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#else
    internal import Darwin
#endif

/// A gate that is opened once; threads wait before it. Blocks the thread, so it is not for tasks.
///
/// Invariant: `isOpen` is touched only with `mutex` held; hence Sendable.
final class Latch: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var isOpen = false

    init() {
        mutex.initialize(to: pthread_mutex_t())
        condition.initialize(to: pthread_cond_t())
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    func open() {
        pthread_mutex_lock(mutex)
        isOpen = true
        pthread_cond_broadcast(condition)
        pthread_mutex_unlock(mutex)
    }

    func wait() {
        pthread_mutex_lock(mutex)
        while !isOpen { pthread_cond_wait(condition, mutex) }
        pthread_mutex_unlock(mutex)
    }
}

"""####),
        EmbeddedFile(
            path: "Sources/CapeletSDK/Outcome.swift",
            contents: ####"""
/// How the handling of an event ended.
public enum Outcome: Sendable, Equatable {
    /// Done. The event's output and what it emitted are committed together with this.
    case success
    /// Failed for now: the event comes again after a delay, up to the lambda's number of attempts. `after` is the shortest delay that
    /// makes sense (a server's `Retry-After`, for instance); nil leaves it to the lambda's backoff. The message is for the operator.
    case retry(_ message: String, after: Duration? = nil)
    /// Failed for good: trying again would not help. The event is given up on at once, as the lambda's `exhausted:` setting says.
    case fatal(_ message: String)
}

/// An error that says which outcome it is. Make your own error type conform to it where some of its cases are final.
public protocol OutcomeError: Error {
    /// The outcome of an event whose handler throws this.
    var outcome: Outcome { get }
}

extension Outcome {
    /// The outcome of an event whose handler threw `error`: what an `OutcomeError` says, else a retry with the error's description.
    public init(throwing error: any Error) {
        switch error {
        case let error as any OutcomeError: self = error.outcome
        case is CancellationError: self = .retry("cancelled")
        default: self = .retry(String(describing: error))
        }
    }
}

/// An error to throw from a handler, or that the SDK throws: a code, a message for the operator and, where there is one, a cause.
public struct LambdaError: OutcomeError, CustomStringConvertible {
    /// What the error means for the event.
    public enum Code: Sendable, Equatable {
        /// It may work later.
        case retry
        /// It will never work.
        case fatal
    }

    /// What the error means for the event.
    public var code: Code
    /// What went wrong, for the operator.
    public var message: String
    /// With `retry`: the shortest delay that makes sense; nil leaves it to the lambda's backoff.
    public var after: Duration?
    /// The error behind this one. It is added to the message.
    public var cause: (any Error)?

    /// An error after which the event is tried again.
    public static func retry(_ message: String, after: Duration? = nil, cause: (any Error)? = nil) -> LambdaError {
        LambdaError(code: .retry, message: message, after: after, cause: cause)
    }

    /// An error after which the event is given up on.
    public static func fatal(_ message: String, cause: (any Error)? = nil) -> LambdaError {
        LambdaError(code: .fatal, message: message, after: nil, cause: cause)
    }

    /// The message, and that of the cause.
    public var description: String {
        if let cause { "\(message): \(cause)" } else { message }
    }

    /// `.retry` or `.fatal`, with the description.
    public var outcome: Outcome {
        switch code {
        case .retry: .retry(description, after: after)
        case .fatal: .fatal(description)
        }
    }
}

"""####),
        EmbeddedFile(
            path: "Sources/CapeletSDK/Plugin.swift",
            contents: ####"""
internal import CCapelet

/// A plugin: its version and its lambdas. Made once, kept for the life of the process.
///
/// ```swift
/// private let plugin = Plugin(version: "1.0.0", .lambda("hello", Hello.self), .lambda("bye", Bye.self))
///
/// @c(capelet_plugin_v1) public func capeletPlugin() -> PluginTable { plugin.table }
/// ```
///
/// The entry point has to be `public`: a release build drops one that is not. The global is made by the first call, and only once,
/// whatever thread calls; making it starts nothing.
public struct Plugin: @unchecked Sendable {
    /// What the entry point returns. Never freed and never changed, hence Sendable.
    public let table: PluginTable

    /// A plugin of one or more lambdas. Two of the same name, or a name that is not made of letters, digits, `-` and `_`, is a
    /// programming error.
    public init(version: String, _ lambdas: LambdaEntry...) {
        precondition(!lambdas.isEmpty, "a plugin has at least one lambda")
        let names = lambdas.map(\.name)
        for name in names {
            precondition(LambdaEntry.isValid(name), "\(name) is not a lambda's name: letters, digits, - and _, at most 64")
            precondition(names.count(where: { $0 == name }) == 1, "the plugin has two lambdas called \(name)")
        }
        let pointers = UnsafeMutablePointer<UnsafePointer<capelet_lambda>?>.allocate(capacity: lambdas.count)
        for (index, lambda) in lambdas.enumerated() { (pointers + index).initialize(to: lambda.makePermanent()) }

        var plugin = capelet_plugin()
        plugin.struct_size = UInt32(MemoryLayout<capelet_plugin>.size)
        plugin.abi_version = UInt32(CAPELET_ABI_VERSION)
        plugin.version = permanentCString(version)
        plugin.lambda_count = lambdas.count
        plugin.lambdas = UnsafePointer(pointers)
        let memory = UnsafeMutablePointer<capelet_plugin>.allocate(capacity: 1)
        memory.initialize(to: plugin)
        table = UnsafePointer(memory)
    }
}

/// One lambda of a plugin: its name, what it does in one line, and its type.
public struct LambdaEntry: Sendable {
    let name: String
    let summary: String?
    let batchMax: Int?
    let makesTasks: Bool
    /// Makes the runner; called in the worker.
    let start: @Sendable (Host) throws -> Runner

    /// A lambda that handles one event at a time. `summary` is one line for `capelet lambdas`.
    public static func lambda<L: Lambda>(_ name: String, _ type: L.Type, summary: String? = nil) -> LambdaEntry {
        LambdaEntry(name: name, summary: summary, batchMax: nil, makesTasks: false) { try LambdaRunner<L>(starting: $0) }
    }

    /// A lambda that handles several events at once. `summary` is one line for `capelet lambdas`.
    public static func lambda<L: BatchLambda>(_ name: String, _ type: L.Type, summary: String? = nil) -> LambdaEntry {
        let max = L.batchMax
        precondition((1...1024).contains(max), "batchMax of \(name) is \(max); it has to be 1 to 1,024")
        return LambdaEntry(name: name, summary: summary, batchMax: max, makesTasks: false) { try BatchRunner<L>(starting: $0) }
    }

    /// A lambda with an async handler. `summary` is one line for `capelet lambdas`.
    public static func lambda<L: AsyncLambda>(_ name: String, _ type: L.Type, summary: String? = nil) -> LambdaEntry {
        LambdaEntry(name: name, summary: summary, batchMax: nil, makesTasks: true) { try AsyncRunner<L>(starting: $0) }
    }

    static func isValid(_ name: String) -> Bool {
        (1...64).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                    UInt8(ascii: "-"), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }

    /// The C entry, with what `start` needs to find its way back to Swift right behind it.
    fileprivate func makePermanent() -> UnsafePointer<capelet_lambda> {
        var entry = capelet_lambda()
        entry.struct_size = UInt32(MemoryLayout<capelet_lambda>.size)
        entry.name = permanentCString(name)
        entry.summary = summary.map(permanentCString)
        entry.start = startLambda
        entry.stop = stopLambda
        if let batchMax {
            entry.handle_batch = handleBatch
            entry.batch_max = UInt32(batchMax)
        } else {
            entry.handle = handleEvent
        }
        if makesTasks { entry.cancel = cancelRun }

        let cell = UnsafeMutablePointer<EntryCell>.allocate(capacity: 1)
        cell.initialize(to: EntryCell(entry: entry, lambda: self))
        return UnsafeRawPointer(cell).assumingMemoryBound(to: capelet_lambda.self)
    }
}

/// Invariant: `entry` is first, so that its address is that of the cell. Every entry of a table made by `Plugin` lies in one.
private struct EntryCell {
    let entry: capelet_lambda
    let lambda: LambdaEntry
}

private func permanentCString(_ text: String) -> UnsafePointer<CChar> {
    let bytes = text.utf8CString
    let memory = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
    bytes.withUnsafeBufferPointer { memory.initialize(from: $0.baseAddress!, count: $0.count) }
    return UnsafePointer(memory)
}

// MARK: - The C functions in the table

/// The runner behind a `state`. Unretained: the host's `state` owns it from `start` to `stop`.
private func runner(_ state: UnsafeMutableRawPointer?) -> Runner {
    guard let state else { preconditionFailure("the host passed no state") }
    return Unmanaged<Runner>.fromOpaque(state).takeUnretainedValue()
}

private func startLambda(
    host: UnsafePointer<capelet_host>?, state: UnsafeMutablePointer<UnsafeMutableRawPointer?>?,
    result: UnsafeMutablePointer<capelet_result>?
) -> Int32 {
    guard let host, let state else { return 1 }
    guard let entry = Host(table: host).entry else {
        result?.write(message: "this host does not say which lambda to start: it is older than the plugin's SDK")
        return 1
    }
    let cell = UnsafeRawPointer(entry).assumingMemoryBound(to: EntryCell.self)
    do {
        let runner = try cell.pointee.lambda.start(Host(table: host))
        state.pointee = Unmanaged.passRetained(runner).toOpaque()
        return 0
    } catch {
        result?.write(message: String(describing: error))
        return 1
    }
}

private func stopLambda(state: UnsafeMutableRawPointer?) {
    guard let state else { return }
    let runner = Unmanaged<Runner>.fromOpaque(state).takeRetainedValue()
    runner.stop()
}

private func handleEvent(
    state: UnsafeMutableRawPointer?, event: UnsafePointer<capelet_event>?, result: UnsafeMutablePointer<capelet_result>?
) -> Int32 {
    guard let event else { preconditionFailure("the host passed no event") }
    return runner(state).handle(event, result)
}

private func handleBatch(
    state: UnsafeMutableRawPointer?, events: UnsafePointer<UnsafePointer<capelet_event>?>?, count: Int,
    statuses: UnsafeMutablePointer<Int32>?, results: UnsafePointer<UnsafeMutablePointer<capelet_result>?>?
) {
    guard let events, let statuses, let results, count > 0 else { return }
    runner(state).handleBatch(events, count, statuses, results)
}

private func cancelRun(state: UnsafeMutableRawPointer?, token: UInt64) {
    guard let state else { return }
    runner(state).cancel(token)
}

"""####),
        EmbeddedFile(
            path: "Sources/CapeletSDK/Runner.swift",
            contents: ####"""
internal import CCapelet

/// What stands behind the `state` of a worker: calls a lambda for the C functions in Plugin.swift.
///
/// Invariant: `handle`, `handleBatch` and `stop` are called from the worker's one thread, so a subclass needs no lock for the lambda;
/// `cancel` comes from another thread, and only AsyncRunner overrides it. Hence Sendable.
class Runner: @unchecked Sendable {
    let host: Host

    init(host: Host) { self.host = host }

    func handle(_ event: UnsafePointer<capelet_event>, _ result: UnsafeMutablePointer<capelet_result>?) -> Int32 {
        preconditionFailure("this lambda takes batches")
    }

    func handleBatch(
        _ events: UnsafePointer<UnsafePointer<capelet_event>?>, _ count: Int, _ statuses: UnsafeMutablePointer<Int32>,
        _ results: UnsafePointer<UnsafeMutablePointer<capelet_result>?>
    ) {
        preconditionFailure("this lambda takes single events")
    }

    func cancel(_ token: UInt64) {}

    func stop() {}
}

/// Runs a `Lambda`.
final class LambdaRunner<L: Lambda>: Runner, @unchecked Sendable {
    private var lambda: L

    init(starting host: Host) throws {
        lambda = try L(context: Context(host: host))
        super.init(host: host)
    }

    override func handle(_ event: UnsafePointer<capelet_event>, _ result: UnsafeMutablePointer<capelet_result>?) -> Int32 {
        do {
            let outcome = try lambda.handle(Event(viewing: event, host: host))
            return outcome.write(to: result)
        } catch {
            return Outcome(throwing: error).write(to: result)
        }
    }

    override func stop() { lambda.stop() }
}

/// Runs a `BatchLambda`.
final class BatchRunner<L: BatchLambda>: Runner, @unchecked Sendable {
    private var lambda: L

    init(starting host: Host) throws {
        lambda = try L(context: Context(host: host))
        super.init(host: host)
    }

    override func handleBatch(
        _ events: UnsafePointer<UnsafePointer<capelet_event>?>, _ count: Int, _ statuses: UnsafeMutablePointer<Int32>,
        _ results: UnsafePointer<UnsafeMutablePointer<capelet_result>?>
    ) {
        statuses.update(repeating: Outcome.success.write(to: nil), count: count)
        let batch = Batch(events: events, count: count, statuses: statuses, results: results, host: host)
        do {
            try lambda.handle(batch)
        } catch {
            batch.setOutcomes(Outcome(throwing: error))
        }
    }

    override func stop() { lambda.stop() }
}

"""####),
    ]
    /// A project in Swift.
    static let swiftTemplate: [EmbeddedFile] = [
        EmbeddedFile(
            path: "Package.swift",
            contents: ####"""
// swift-tools-version:6.2
import PackageDescription

let package = Package(
    name: "__name__",
    platforms: [.macOS(.v15)],
    products: [
        // The plugin: .build/release/lib__name__.so
        .library(name: "__name__", type: .dynamic, targets: ["__Name__Plugin"])
    ],
    dependencies: [
        // A copy of Capelet's plugin SDK; it has no dependencies of its own.
        .package(path: "capelet-sdk")
    ],
    targets: [
        .target(
            name: "__Name__Plugin",
            dependencies: [
                // For Codable payloads, outputs and configuration add this and `import CapeletJSON`; the plugin then links Foundation.
                // .product(name: "CapeletJSON", package: "capelet-sdk"),
                .product(name: "CapeletSDK", package: "capelet-sdk")
            ])
    ]
)

"""####),
        EmbeddedFile(
            path: "README.md",
            contents: ####"""
# __name__

A plugin for Capelet, in Swift. The lambda is in `Sources/__Name__Plugin/__Name__Lambda.swift`; `capelet-sdk/` is a copy of the SDK, so
nothing is downloaded. Swift 6.3 or later.

Build:

```sh
swift build -c release
```

The plugin is then `.build/release/lib__name__.so`. Install it under its own name in the folder that the routing file calls `plugins:`.
Replace the file instead of writing into it, as `install` does:

```sh
install .build/release/lib__name__.so /path/to/plugins/__name__.so
```

Name it in the routing file, `capelet.yaml`:

```yaml
domains:
  greetings:
    lambdas: [__name__]

lambdas:
  __name__:
    config: { greeting: Good morning }
```

Let Capelet take it up with `capelet reload` (or `kill -HUP` to the host), and send it an event:

```sh
capelet send greetings --subject World --type greeting '{"text":"from the command line"}'
capelet logs __name__
```

To try it on one event without a running host, see `capelet test --help`; `event.json` is an event for that.

"""####),
        EmbeddedFile(
            path: "Sources/__Name__Plugin/__Name__Lambda.swift",
            contents: ####"""
import CapeletSDK

/// Greets the subject of every event.
///
/// There is one instance in each worker process. It is made, used and stopped on one thread, so it may keep state without locks.
struct __Name__Lambda: Lambda {
    private let greeting: String
    private var count = 0

    /// Called once in each worker, before the first event. Read the configuration, open files and connections here; a thrown error is a
    /// failed start, and `capelet status` shows it.
    init(context: Context) throws {
        greeting = context.config.string("greeting", default: "Hello")
        // Also: int, bool, double, duration, byteCount, strings, requiredString; context.stateDirectory is a folder of your own.
        context.log.info("\(context.lambda) starts in worker \(context.workerIndex)")
    }

    /// Called for every event. The same event can come more than once: after a crash, a timeout or a retry.
    ///
    /// A thrown error means that the event is tried again later; `throw LambdaError.fatal("why")` that it is given up on.
    mutating func handle(_ event: borrowing Event) throws -> Outcome {
        count += 1
        guard let text = event.text else { return .fatal("the payload is not text") }
        event.log.info("event \(count): \(event.type) of \(event.subject), attempt \(event.attempt): \(text)")

        // What the lambdas that come `after:` this one get. Kept only if this run succeeds.
        try event.output("\(greeting), \(event.subject)!")

        // A new event, committed together with this run's success:
        // try event.emit(Emission(domain: "greetings", subject: event.subject, type: "greeted", text: text))
        return .success
    }

    /// Called once when the worker ends in good order.
    mutating func stop() {}
}

/// The plugin: its version and its lambdas. One plugin may have several. A lambda with an async handler is an `AsyncLambda`, one that takes
/// many events at once a `BatchLambda`.
private let plugin = Plugin(
    version: "0.1.0",
    .lambda("__name__", __Name__Lambda.self, summary: "Greets the subject of every event"))

/// The one function that a plugin exports. It has to be public.
@c(capelet_plugin_v1) public func capeletPlugin() -> PluginTable { plugin.table }

"""####),
        EmbeddedFile(
            path: "dot-gitignore",
            contents: ####"""
.build/
Package.resolved

"""####),
        EmbeddedFile(
            path: "event.json",
            contents: ####"""
{"subject": "World", "type": "greeting", "payload": {"text": "from event.json"}}

"""####),
    ]
    /// A project in C.
    static let cTemplate: [EmbeddedFile] = [
        EmbeddedFile(
            path: "Makefile",
            contents: ####"""
# make: builds the plugin, __name__.so. make install PLUGINS=/path/to/plugins: puts it where Capelet finds it.
CFLAGS ?= -O2 -g
WARNINGS = -Wall -Wextra

__name__.so: __name__.c capelet.h Makefile
	$(CC) -std=c11 $(WARNINGS) $(CFLAGS) -fPIC -fvisibility=hidden -shared $(LDFLAGS) -o $@ __name__.c $(LDLIBS)

.PHONY: install clean
install: __name__.so
	install __name__.so "$(PLUGINS)/__name__.so"

clean:
	rm -f __name__.so

"""####),
        EmbeddedFile(
            path: "README.md",
            contents: ####"""
# __name__

A plugin for Capelet, in C. The lambda is in `__name__.c`; `capelet.h` says what each part of the interface means. There is nothing else
to install.

Build:

```sh
make
```

The plugin is then `__name__.so`. Install it in the folder that the routing file calls `plugins:`. Replace the file instead of writing
into it, as `install` does:

```sh
make install PLUGINS=/path/to/plugins
```

Name it in the routing file, `capelet.yaml`:

```yaml
domains:
  greetings:
    lambdas: [__name__]

lambdas:
  __name__:
    config: { greeting: Good morning }
```

Let Capelet take it up with `capelet reload` (or `kill -HUP` to the host), and send it an event:

```sh
capelet send greetings --subject World --type greeting '{"text":"from the command line"}'
capelet logs __name__
```

To try it on one event without a running host, see `capelet test --help`; `event.json` is an event for that.

"""####),
        EmbeddedFile(
            path: "__name__.c",
            contents: ####"""
/* __name__: a lambda that greets the subject of every event. capelet.h says what each part means. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capelet.h"

/* What one worker keeps. There is one in each worker process, used by one thread. */
typedef struct {
    const capelet_host *host;
    capelet_bytes greeting;
    uint64_t count;
} __Name__State;

static void set_message(capelet_result *result, const char *message) {
    snprintf(result->message, sizeof result->message, "%s", message);
}

/* Called once in each worker, before the first event. Read the configuration, open files and connections here. */
static int32_t start(const capelet_host *host, void **state, capelet_result *result) {
    __Name__State *self = calloc(1, sizeof *self);
    if (self == NULL) {
        set_message(result, "out of memory");
        return 1;
    }
    self->host = host;
    if (host->config(host, "greeting", &self->greeting) != 0) {
        self->greeting = (capelet_bytes){"Hello", 5};
    }
    *state = self;
    return 0;
}

/* Called once when the worker ends in good order. */
static void stop(void *state) {
    free(state);
}

/* Called for every event. The same event can come more than once: after a crash, a timeout or a retry. */
static int32_t handle(void *state, const capelet_event *event, capelet_result *result) {
    __Name__State *self = state;
    self->count += 1;

    if (event->payload.size == 0) {
        set_message(result, "the payload is empty");
        return CAPELET_FATAL; /* CAPELET_RETRY: try again later */
    }

    char line[512];
    int size = snprintf(line, sizeof line, "event %" PRIu64 ": %.*s of %.*s, attempt %" PRIu32, self->count, (int)event->type.size,
                        (const char *)event->type.data, (int)event->subject.size, (const char *)event->subject.data, event->attempt);
    if (size >= (int)sizeof line) size = (int)sizeof line - 1;
    self->host->log(self->host, event->token, CAPELET_LOG_INFO, line, (size_t)size);

    /* What the lambdas that come `after:` this one get. Kept only if this run succeeds. */
    char output[1600];
    size = snprintf(output, sizeof output, "%.*s, %.*s!", (int)self->greeting.size, (const char *)self->greeting.data,
                    (int)event->subject.size, (const char *)event->subject.data);
    if (size >= (int)sizeof output) size = (int)sizeof output - 1;
    if (self->host->output(self->host, event->token, output, (size_t)size) != 0) {
        set_message(result, "the host did not take the output");
        return CAPELET_RETRY;
    }
    return CAPELET_SUCCESS;
}

static const capelet_lambda __Name___lambda = {
    .struct_size = sizeof(capelet_lambda),
    .name = "__name__",
    .summary = "Greets the subject of every event",
    .start = start,
    .stop = stop,
    .handle = handle,
};

static const capelet_lambda *const lambdas[] = {&__Name___lambda};

static const capelet_plugin plugin = {
    .struct_size = sizeof(capelet_plugin),
    .abi_version = CAPELET_ABI_VERSION,
    .version = "0.1.0",
    .lambda_count = sizeof lambdas / sizeof lambdas[0],
    .lambdas = lambdas,
};

/* The one function that a plugin exports. */
CAPELET_EXPORT const capelet_plugin *capelet_plugin_v1(void) {
    return &plugin;
}

"""####),
        EmbeddedFile(
            path: "dot-gitignore",
            contents: ####"""
*.so

"""####),
        EmbeddedFile(
            path: "event.json",
            contents: ####"""
{"subject": "World", "type": "greeting", "payload": {"text": "from event.json"}}

"""####),
    ]
}
