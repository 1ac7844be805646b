// Routing: from a routing file (YAML) to a checked `RouteTable`.
//
// Purpose. Everything that the rest of the host knows about domains, lambdas and limits comes from one `RouteTable`, made here. What
// is wrong with a file is found here too, all of it at once, with file, line and column, before anything is started.
//
// The way of a file:
//
//     bytes ── RoutingFile ── text ── YAMLDocument ── YAMLValue tree ── TableReader ── drafts ── Topology, SourceFolders ── RouteTable
//              size, UTF-8            syntax,          (positions)      keys, types,            cycles, domains,
//                                     duplicate keys,                   ranges, names           nested folders
//                                     aliases
//
// Invariants
// - A `RouteTable` that comes out of here is valid: names are well-formed, references exist, `after:` has no cycle, upstreams stand
//   before what comes after them, limits make sense, paths are absolute.
// - No input crashes or takes unbounded time or memory: file size, nesting, number of values and of problems are limited (`RoutingLimits`).
// - No secret is kept: a secret file is read once to see that it can be, and `ConfigValue.secretFile` holds its path until a worker is made.
// - A default has one home: the initial value of a property of `HostLimits`, `DomainRoute`, `LambdaRoute` and their parts. What
//   `capelet check --defaults` prints is made from those.
//
// Threads. Values only, no shared state: any thread. `CompiledFilter.matches` is the one hot function; it allocates nothing.
