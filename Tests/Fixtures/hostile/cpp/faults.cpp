// villain in C++: exceptions that nobody catches, and what C does as well.
#include "../c/villain.h"

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct Base {
    virtual ~Base() = default;
    virtual int value() = 0;
};

int recurse(volatile int depth) { return depth == -1 ? 0 : recurse(depth + 1) + depth; }

int32_t villain(void *, const capelet_event *event, capelet_result *) {
    char buffer[256];
    const std::string word = villain_word(event, buffer, sizeof buffer);
    villain_record('B', event);
    if (word == "throw") throw std::runtime_error("nobody catches this");
    if (word == "null") {
        Base *volatile nothing = nullptr;
        return nothing->value();
    }
    if (word == "abort") std::terminate();
    if (word == "exit") std::exit(0);
    if (word == "overflow") return recurse(0);
    if (word == "heap") {
        std::string *volatile block = new std::string(100, 'x');
        std::string *volatile again = block;
        delete block;
        delete again;
    }
    if (word == "private") {
        try {
            std::vector<std::vector<char>> all;
            for (;;) all.emplace_back(8 << 20, 'x');
        } catch (const std::bad_alloc &) {
            villain_answer("private", "bad_alloc");
        }
    }
    if (word == "spin")
        for (volatile int i = 0;; i = i + 1) {}
    villain_record('E', event);
    return CAPELET_SUCCESS;
}

const capelet_lambda *lambda() {
    static capelet_lambda only{};
    only.struct_size = sizeof only;
    only.name = "villain";
    only.start = fixture_start;
    only.handle = villain;
    return &only;
}

} // namespace

extern "C" CAPELET_EXPORT const capelet_plugin *capelet_plugin_v1(void) {
    static const capelet_lambda *const all[] = {lambda()};
    static const capelet_plugin plugin = {sizeof(capelet_plugin), CAPELET_ABI_VERSION, "1", 1, all};
    return &plugin;
}
