import CLinux
@main struct W { static func main() {} }
