import ArgumentParser
@main struct Capelet: ParsableCommand { func run() {} }
