#include "include/CFFI.h"

#include <errno.h>
#include <ffi.h>
#include <float.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct capelet_call {
    ffi_cif cif;
    void (*function)(void);
    int result;
    int count;
    int parameters[CAPELET_CALL_PARAMETERS_MAX];
    ffi_type *types[CAPELET_CALL_PARAMETERS_MAX];
};

static ffi_type *type_of(int type) {
    switch (type) {
    case CAPELET_TYPE_VOID: return &ffi_type_void;
    case CAPELET_TYPE_I8: return &ffi_type_sint8;
    case CAPELET_TYPE_I16: return &ffi_type_sint16;
    case CAPELET_TYPE_I32: return &ffi_type_sint32;
    case CAPELET_TYPE_I64: return &ffi_type_sint64;
    case CAPELET_TYPE_U8: return &ffi_type_uint8;
    case CAPELET_TYPE_U16: return &ffi_type_uint16;
    case CAPELET_TYPE_U32: return &ffi_type_uint32;
    case CAPELET_TYPE_U64: return &ffi_type_uint64;
    case CAPELET_TYPE_F32: return &ffi_type_float;
    case CAPELET_TYPE_F64: return &ffi_type_double;
    case CAPELET_TYPE_BOOL: return &ffi_type_uint8;
    case CAPELET_TYPE_POINTER: return &ffi_type_pointer;
    default: return NULL;
    }
}

capelet_call *capelet_call_make(void *function, int result, const int *parameters, int count) {
    if (function == NULL || count < 0 || count > CAPELET_CALL_PARAMETERS_MAX || type_of(result) == NULL) return NULL;
    capelet_call *call = calloc(1, sizeof *call);
    if (call == NULL) return NULL;
    memcpy(&call->function, &function, sizeof function);
    call->result = result;
    call->count = count;
    for (int i = 0; i < count; i++) {
        call->parameters[i] = parameters[i];
        call->types[i] = type_of(parameters[i]);
        if (call->types[i] == NULL || parameters[i] == CAPELET_TYPE_VOID) goto refused;
    }
    if (ffi_prep_cif(&call->cif, FFI_DEFAULT_ABI, (unsigned)count, type_of(result), call->types) == FFI_OK) return call;
refused:
    free(call);
    return NULL;
}

int capelet_call_run(capelet_call *call, const capelet_value *values, capelet_value *result) {
    // libffi reads as many bytes as a type has from the address of each value.
    union {
        int8_t i8;
        int16_t i16;
        int32_t i32;
        int64_t i64;
        uint8_t u8;
        uint16_t u16;
        uint32_t u32;
        uint64_t u64;
        float f32;
        double f64;
        const void *pointer;
    } cells[CAPELET_CALL_PARAMETERS_MAX];
    void *addresses[CAPELET_CALL_PARAMETERS_MAX];
    for (int i = 0; i < call->count; i++) {
        uint64_t word = values[i].word;
        switch (call->parameters[i]) {
        case CAPELET_TYPE_I8: cells[i].i8 = (int8_t)word; break;
        case CAPELET_TYPE_I16: cells[i].i16 = (int16_t)word; break;
        case CAPELET_TYPE_I32: cells[i].i32 = (int32_t)word; break;
        case CAPELET_TYPE_I64: cells[i].i64 = (int64_t)word; break;
        case CAPELET_TYPE_U8: cells[i].u8 = (uint8_t)word; break;
        case CAPELET_TYPE_U16: cells[i].u16 = (uint16_t)word; break;
        case CAPELET_TYPE_U32: cells[i].u32 = (uint32_t)word; break;
        case CAPELET_TYPE_U64: cells[i].u64 = word; break;
        case CAPELET_TYPE_BOOL: cells[i].u8 = word != 0; break;
        case CAPELET_TYPE_F32: cells[i].f32 = (float)values[i].number; break;
        case CAPELET_TYPE_F64: cells[i].f64 = values[i].number; break;
        default: cells[i].pointer = values[i].pointer; break;
        }
        addresses[i] = &cells[i];
    }
    // libffi writes at least an ffi_arg, however small the type of the result is.
    union {
        ffi_arg word;
        ffi_sarg signed_word;
        uint64_t u64;
        float f32;
        double f64;
        void *pointer;
        unsigned char room[32];
    } out;
    _Static_assert(sizeof out >= sizeof(ffi_arg), "libffi writes a whole ffi_arg");
    memset(&out, 0, sizeof out);
    errno = 0;
    ffi_call(&call->cif, call->function, &out, addresses);
    int code = errno;
    memset(result, 0, sizeof *result);
    switch (call->result) {
    case CAPELET_TYPE_VOID: break;
    case CAPELET_TYPE_I8: result->word = (uint64_t)(int64_t)(int8_t)out.word; break;
    case CAPELET_TYPE_I16: result->word = (uint64_t)(int64_t)(int16_t)out.word; break;
    case CAPELET_TYPE_I32: result->word = (uint64_t)(int64_t)(int32_t)out.word; break;
    case CAPELET_TYPE_U8: result->word = (uint8_t)out.word; break;
    case CAPELET_TYPE_U16: result->word = (uint16_t)out.word; break;
    case CAPELET_TYPE_U32: result->word = (uint32_t)out.word; break;
    case CAPELET_TYPE_BOOL: result->word = (uint8_t)out.word != 0; break;
    case CAPELET_TYPE_F32: result->number = (double)out.f32; break;
    case CAPELET_TYPE_F64: result->number = out.f64; break;
    case CAPELET_TYPE_POINTER: result->pointer = out.pointer; break;
    default: result->word = out.u64; break;
    }
    return code;
}

size_t capelet_number_text(double number, int single, char text[CAPELET_NUMBER_TEXT_MAX]) {
    if (number != number) {
        memcpy(text, "nan", 4);
        return 3;
    }
    int length = 0;
    // Between so many digits that are always kept and so many that always suffice; the smallest numbers of all have fewer.
    bool is_tiny = number != 0 && (number < 0 ? -number : number) < (single ? (double)FLT_MIN : DBL_MIN);
    for (int digits = is_tiny ? 1 : single ? 6 : 15; digits <= (single ? 9 : 17); digits++) {
        length = snprintf(text, CAPELET_NUMBER_TEXT_MAX, "%.*g", digits, number);
        if (single ? strtof(text, NULL) == (float)number : strtod(text, NULL) == number) break;
    }
    return length > 0 ? (size_t)length : 0;
}
