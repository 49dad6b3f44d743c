/* Texts that one call needs again and again, each with SLACK after it, so that they are copied fast. */
#ifndef TALLYMARK_WORDS_H
#define TALLYMARK_WORDS_H

#include "labels.h"

typedef struct {
    const char *text;
    size_t length;
} Word;

typedef struct {
    char *space; /* owned */
    size_t used;
} Words;

/* What a word of this length takes. */
#define SPACE_OF(length) ((size_t)(length) + SLACK)

/* Have space for all words: 0, or -1 with an exception. */
static inline int
words_init(Words *words, size_t space)
{
    *words = (Words){PyMem_Malloc(space + 1), 0};
    if (words->space == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

static inline void
words_clear(Words *words)
{
    PyMem_Free(words->space);
}

/* Add a word, for which there must be space. */
static inline Word
words_add(Words *words, const char *text, size_t length)
{
    char *at = memcpy(words->space + words->used, text, length);
    words->used += SPACE_OF(length);
    return (Word){at, length};
}

/* Copy a text which SLACK follows to where as much follows: where it ends. */
static inline char *
copy_text(char *at, const char *text, size_t length)
{
    size_t i = 0;
    do {
        memcpy(at + i, text + i, SLACK);
        i += SLACK;
    } while (i < length);
    return at + length;
}

static inline char *
copy_word(char *at, Word word)
{
    return copy_text(at, word.text, word.length);
}

#endif
