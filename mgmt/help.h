/* What gannetctl says about itself. */
#pragma once

struct verb;

/* What is to be said of the verb; NULL: of all. */
void help_print(const struct verb *verb);
