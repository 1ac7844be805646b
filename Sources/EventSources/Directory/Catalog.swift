/// What a directory source has announced and not announced as deleted since: a tree of names with the state of each file, as the journal has
/// it. Pure; one owner.
///
/// Made for millions of files: 64 bytes a node, about 20 for its places in two hash tables (by parent and name, by inode), and its name; a
/// directory is a node only while there are files below it. A file and a directory of one name can be there at once, for as long as one of
/// the two is not yet announced as gone.
///
/// `seen` marks are numbers of scans: what a scan has not seen by its end has to be looked at.
struct Catalog {
    /// Number of a node. Given to another file once its file is removed.
    typealias NodeID = UInt32

    private enum Kind: UInt8 {
        case free, directory, file
    }

    private struct Node {
        var state: FileState
        var parent: NodeID
        var next: NodeID = NodeTable.none
        var previous: NodeID = NodeTable.none
        var child: NodeID = NodeTable.none
        var name: UInt32
        /// A file: the last scan that saw it. A directory: the last scan that could not read it.
        var seen: UInt32 = 0
        var nameSize: UInt16
        var kind: Kind
        var isInodeIndexed = false
    }

    /// Files in it.
    private(set) var count = 0

    private var nodes: [Node]
    private var free = NodeTable.none
    private var names: [UInt8] = []
    private var namesDropped = 0
    private var byName = NodeTable()
    /// One file of each inode; of several hard links the first.
    private var byInode = NodeTable()

    private static let root: NodeID = 0

    /// An empty catalog.
    init() {
        let nowhere = FileState(size: 0, modified: 0, changed: 0, inode: 0)
        nodes = [Node(state: nowhere, parent: NodeTable.none, name: 0, nameSize: 0, kind: .directory)]
    }

    // MARK: Reading

    /// Memory in use, without what the allocator adds.
    var bytes: Int { nodes.count * MemoryLayout<Node>.stride + names.count + byName.bytes + byInode.bytes }

    /// The file at `path`.
    func find(_ path: RelativePath) -> NodeID? {
        path.withUnsafeBufferPointer { path in
            let slash = path.lastIndex(of: UInt8(ascii: "/"))
            guard let parent = slash.map({ directory(UnsafeBufferPointer(rebasing: path[..<$0])) }) ?? Self.root else { return nil }
            return child(of: parent, .file, UnsafeBufferPointer(rebasing: path[(slash.map { $0 + 1 } ?? 0)...]))
        }
    }

    /// What is announced of `path`.
    func observation(_ path: RelativePath) -> Observation { find(path).map { .file(nodes[Int($0)].state) } ?? .absent }

    /// The state of a file.
    func state(_ node: NodeID) -> FileState { nodes[Int(node)].state }

    /// A file with this inode.
    func file(inode: UInt64) -> NodeID? { byInode.first(Self.hash(inode)) { nodes[Int($0)].state.inode == inode } }

    /// The path of a file.
    func path(_ node: NodeID) -> RelativePath {
        var chain: [NodeID] = []
        var at = node
        while at != Self.root {
            chain.append(at)
            at = nodes[Int(at)].parent
        }
        var path: RelativePath = []
        for node in chain.reversed() {
            if !path.isEmpty { path.append(UInt8(ascii: "/")) }
            let range = nameRange(node)
            path.append(contentsOf: names[range])
        }
        return path
    }

    /// All files, in no order.
    func forEach(_ body: (RelativePath, FileState) -> Void) {
        for index in nodes.indices where nodes[index].kind == .file { body(path(NodeID(index)), nodes[index].state) }
    }

    // MARK: Changing

    /// Sets the state of the file at `path`.
    mutating func put(_ path: RelativePath, _ state: FileState, seen: UInt32) {
        let parts = path.split(separator: UInt8(ascii: "/"))
        precondition(!parts.isEmpty, "a file has a name")
        var parent = Self.root
        for part in parts.dropLast() { parent = childOrNew(of: parent, .directory, part) }
        let node = childOrNew(of: parent, .file, parts[parts.count - 1])
        if nodes[Int(node)].isInodeIndexed, nodes[Int(node)].state.inode != state.inode { dropInode(node) }
        nodes[Int(node)].state = state
        nodes[Int(node)].seen = seen
        if !nodes[Int(node)].isInodeIndexed, file(inode: state.inode) == nil {
            byInode.insert(Self.hash(state.inode), node)
            nodes[Int(node)].isInodeIndexed = true
        }
    }

    /// Removes the file at `path`, and the directories that hold nothing any more.
    mutating func remove(_ path: RelativePath) {
        guard var node = find(path) else { return }
        count -= 1
        if nodes[Int(node)].isInodeIndexed { dropInode(node) }
        while node != Self.root {
            let parent = nodes[Int(node)].parent
            detach(node)
            guard nodes[Int(parent)].child == NodeTable.none else { break }
            node = parent
        }
        if namesDropped > 1 << 20, namesDropped > names.count / 2 { compactNames() }
    }

    // MARK: Scans

    /// A scan saw this file.
    mutating func markSeen(_ node: NodeID, scan: UInt32) { nodes[Int(node)].seen = scan }

    /// A scan could not read this directory: what is known below it stays.
    mutating func keep(_ path: RelativePath, scan: UInt32) {
        guard let node = path.withUnsafeBufferPointer({ directory($0) }) else { return }
        nodes[Int(node)].seen = scan
    }

    /// The files below a directory, and the file of this very path, that no scan from `scan` on has seen, without those in directories that
    /// could not be read.
    func unseen(below path: RelativePath, scan: UInt32) -> [NodeID] {
        var result: [NodeID] = []
        if !path.isEmpty, let node = find(path), isUnseen(node, scan: scan) { result.append(node) }
        var stack = path.withUnsafeBufferPointer { directory($0) }.map { [$0] } ?? []
        // What lies in a directory that is kept is kept, also when only that directory is asked for.
        while let node = stack.popLast() {
            guard nodes[Int(node)].seen < scan else { continue }
            var child = nodes[Int(node)].child
            while child != NodeTable.none {
                switch nodes[Int(child)].kind {
                case .directory: stack.append(child)
                case .file: if nodes[Int(child)].seen < scan { result.append(child) }
                case .free: preconditionFailure("a free node is in the tree")
                }
                child = nodes[Int(child)].next
            }
        }
        return result
    }

    /// Whether this number stands for a file that no scan from `scan` on has seen.
    func isUnseen(_ node: NodeID, scan: UInt32) -> Bool { nodes[Int(node)].kind == .file && nodes[Int(node)].seen < scan }

    // MARK: The tree

    private static func hash(_ parent: NodeID, _ kind: Kind, _ name: UnsafeRawBufferPointer) -> UInt32 {
        var hasher = Hasher()
        hasher.combine(parent)
        hasher.combine(kind.rawValue)
        hasher.combine(bytes: name)
        return UInt32(truncatingIfNeeded: hasher.finalize())
    }

    private static func hash(_ inode: UInt64) -> UInt32 {
        var hasher = Hasher()
        hasher.combine(inode)
        return UInt32(truncatingIfNeeded: hasher.finalize())
    }

    private func nameRange(_ node: NodeID) -> Range<Int> {
        let start = Int(nodes[Int(node)].name)
        return start..<start + Int(nodes[Int(node)].nameSize)
    }

    private func child(of parent: NodeID, _ kind: Kind, _ name: UnsafeBufferPointer<UInt8>) -> NodeID? {
        names.withUnsafeBufferPointer { names in
            byName.first(Self.hash(parent, kind, UnsafeRawBufferPointer(name))) { node in
                nodes[Int(node)].parent == parent && nodes[Int(node)].kind == kind
                    && names[nameRange(node)].elementsEqual(name)
            }
        }
    }

    private func directory(_ path: UnsafeBufferPointer<UInt8>) -> NodeID? {
        var node = Self.root
        for part in path.split(separator: UInt8(ascii: "/")) {
            guard let next = child(of: node, .directory, UnsafeBufferPointer(rebasing: part)) else { return nil }
            node = next
        }
        return node
    }

    private mutating func childOrNew(of parent: NodeID, _ kind: Kind, _ name: ArraySlice<UInt8>) -> NodeID {
        let found = name.withUnsafeBufferPointer { child(of: parent, kind, $0) }
        if let found { return found }
        precondition(names.count + name.count < Int(UInt32.max), "over 4 GiB of file names")
        var node = Node(
            state: FileState(size: 0, modified: 0, changed: 0, inode: 0), parent: parent, name: UInt32(names.count),
            nameSize: UInt16(name.count), kind: kind)
        names.append(contentsOf: name)
        let sibling = nodes[Int(parent)].child
        node.next = sibling
        let id: NodeID
        if free != NodeTable.none {
            id = free
            free = nodes[Int(id)].next
            nodes[Int(id)] = node
        } else {
            id = NodeID(nodes.count)
            precondition(id != NodeTable.none, "over 4 billion files")
            nodes.append(node)
        }
        if sibling != NodeTable.none { nodes[Int(sibling)].previous = id }
        nodes[Int(parent)].child = id
        byName.insert(name.withUnsafeBytes { Self.hash(parent, kind, $0) }, id)
        if kind == .file { count += 1 }
        return id
    }

    private mutating func detach(_ id: NodeID) {
        let node = nodes[Int(id)]
        let hash = names.withUnsafeBytes { Self.hash(node.parent, node.kind, UnsafeRawBufferPointer(rebasing: $0[nameRange(id)])) }
        byName.remove(hash, id)
        if node.previous != NodeTable.none { nodes[Int(node.previous)].next = node.next } else { nodes[Int(node.parent)].child = node.next }
        if node.next != NodeTable.none { nodes[Int(node.next)].previous = node.previous }
        namesDropped += Int(node.nameSize)
        nodes[Int(id)].kind = .free
        nodes[Int(id)].next = free
        free = id
    }

    private mutating func dropInode(_ node: NodeID) {
        byInode.remove(Self.hash(nodes[Int(node)].state.inode), node)
        nodes[Int(node)].isInodeIndexed = false
    }

    private mutating func compactNames() {
        var compact: [UInt8] = []
        compact.reserveCapacity(names.count - namesDropped)
        for index in nodes.indices where nodes[index].kind != .free {
            let range = nameRange(NodeID(index))
            nodes[index].name = UInt32(compact.count)
            compact.append(contentsOf: names[range])
        }
        names = compact
        namesDropped = 0
    }
}
