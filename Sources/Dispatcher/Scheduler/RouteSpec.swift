public import Journal
public import Routing

/// What the scheduler has to know of one lambda.
public struct PoolSpec: Sendable {
    /// The lambda's settings.
    public var lambda: LambdaRoute
    /// Changes with every new generation or configuration: parked events get one more attempt then.
    public var version: UInt64
    /// Makes a spec.
    public init(lambda: LambdaRoute, version: UInt64) {
        self.lambda = lambda
        self.version = version
    }
}

/// What the scheduler has to know of one lambda in one domain.
public struct RouteSpec: Sendable {
    /// The route as the journal knows it, with its progress when the scheduler first sees it.
    public var state: RouteState
    /// The stream of the domain itself.
    public var domainStream: StreamID
    /// The first position of the stream that is not yet written.
    public var streamEnd: UInt64
    /// Lambdas that come after this one, in this domain.
    public var dependents: [DependentSpec]
    /// Subjects with deferred rows, when the scheduler first sees the route.
    public var heads: [DeferredHead]
    /// Makes a spec.
    public init(state: RouteState, domainStream: StreamID, streamEnd: UInt64, dependents: [DependentSpec], heads: [DeferredHead] = []) {
        self.state = state
        self.domainStream = domainStream
        self.streamEnd = streamEnd
        self.dependents = dependents
        self.heads = heads
    }
}

/// A lambda that comes after another one.
public struct DependentSpec: Sendable, Equatable {
    /// Its name.
    public var lambda: String
    /// Its input stream.
    public var stream: StreamID
    /// All its upstreams, in the routing file's order: that of its inputs.
    public var upstreams: [String]
    /// Makes a spec.
    public init(lambda: String, stream: StreamID, upstreams: [String]) {
        self.lambda = lambda
        self.stream = stream
        self.upstreams = upstreams
    }
}
