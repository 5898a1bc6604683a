/* The Event Log, for what goes wrong before there is anybody else to tell. */
#ifndef STAYON_EVENT_LOG_H
#define STAYON_EVENT_LOG_H

#include <wchar.h>

/* Write *text* (UTF-8) as an error of *source*. Needs no rights, and no source of that name. Blocks as long as the
 * service EventLog does; what fails is passed over, as there is nobody left to tell. */
void event_log_error(const wchar_t *source, const char *text);

#endif
