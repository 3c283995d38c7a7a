// What `-Wl,--wrap=main` puts in the place of main(). In an archive of its own, because a shared
// library cannot refer to the program's main.
#include "procession/main.hpp"

extern "C" {
int __real_main(int argc, char** argv, char** environment);
int __wrap_main(int argc, char** argv, char** environment);
}

extern "C" int __wrap_main(int argc, char** argv, char** environment) {
  procession::divert_main();
  return __real_main(argc, argv, environment);
}
