// What the two halves of the preloaded shim know of each other: power-shim.c notes what of a file is durable, name-shim.c what of a folder.

#include <stdint.h>
#include <sys/types.h>

/** Who a file or folder is, whatever it is called: inodes are used again, and then have another time of birth. */
struct identity {
  uint64_t inode, birth_s, birth_ns;
};

/** Where the journal of names ends now: what is noted before it is done. */
off_t names_noted(void);

/** What was noted before `end` of the names in this folder is durable. */
void names_synced(const struct identity *folder, off_t end);

/** To be called after each note, in either half. */
void counted(void);
