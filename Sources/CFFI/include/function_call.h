// One function with its types, prepared once and called often. Nothing here knows events or settings.
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
    /// Most parameters of a function.
    CAPELET_CALL_PARAMETERS_MAX = 16,
    /// Bytes that a number takes as text, at most, with its end.
    CAPELET_NUMBER_TEXT_MAX = 40,
};

/// Types of parameters and results. All pointers are one type here.
enum {
    CAPELET_TYPE_VOID = 0,
    CAPELET_TYPE_I8,
    CAPELET_TYPE_I16,
    CAPELET_TYPE_I32,
    CAPELET_TYPE_I64,
    CAPELET_TYPE_U8,
    CAPELET_TYPE_U16,
    CAPELET_TYPE_U32,
    CAPELET_TYPE_U64,
    CAPELET_TYPE_F32,
    CAPELET_TYPE_F64,
    CAPELET_TYPE_BOOL,
    CAPELET_TYPE_POINTER,
};

/// One value. Which field counts is decided by its type; a struct and no union, so that no field is read as another.
typedef struct capelet_value {
    /// Whole numbers and truth values; those with a sign as two's complement of 64 bits.
    uint64_t word;
    /// f32 and f64.
    double number;
    const void *pointer;
} capelet_value;

typedef struct capelet_call capelet_call;

/// Prepares calls of `function`. Returns NULL when a type is none of the above, there are too many of them, libffi refuses them or memory is
/// short. The caller never frees it: it lives as long as its process.
capelet_call *capelet_call_make(void *function, int result, const int *parameters, int count);

/// Calls the function with `values`, as many as it has parameters, each within the range of its type. Returns errno as the function has
/// left it; it is 0 before.
int capelet_call_run(capelet_call *call, const capelet_value *values, capelet_value *result);

/// Writes the shortest decimal text that reads back as the same number, and returns its length. `single`: as a float.
size_t capelet_number_text(double number, int single, char text[CAPELET_NUMBER_TEXT_MAX]);
