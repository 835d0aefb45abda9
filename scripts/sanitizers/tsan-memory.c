/*
 * Functions that LLVM calls and that GCC's ThreadSanitizer lacks. They call the instrumented
 * functions of the runtime.
 */
#include <string.h>

void *__tsan_memcpy(void *to, const void *from, size_t size) { return memcpy(to, from, size); }
void *__tsan_memmove(void *to, const void *from, size_t size) { return memmove(to, from, size); }
void *__tsan_memset(void *to, int value, size_t size) { return memset(to, value, size); }
