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
