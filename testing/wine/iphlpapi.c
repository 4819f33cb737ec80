// iphlpapi.dll for tests under Wine: Wine's own, plus the calls that Wine lacks (routes and interface settings) over a model.
//
// Everything Wine has is forwarded to a renamed copy of Wine's library (wineiphl.dll; `prepare` writes the list). The model keeps
// Windows' rules where a client could get them wrong: error 5010 for a route that exists, 1168 for what is not there, 87 for a site
// prefix over 32 bits on IPv4. It is switched by environment variables:
//
//   SOFTLAN_NETMODEL  a file that keeps the model, so that it outlives the program as Windows' tables do
//   SOFTLAN_NETLOG    a file that gets one line for each change
//   SOFTLAN_NETFAULT  N: the Nth change from the program's start fails with error 31; 0 or none: none does
#define _WIN32_WINNT 0x0A00
#define _IPHLPAPI_H_NOIMPORT
#include <winsock2.h>
#include <ws2ipdef.h>
#include <windows.h>
#include <iphlpapi.h>
#include <netioapi.h>
#include <stdarg.h>
#include <stdio.h>

#define EXPORT __declspec(dllexport)
#define MAX_ROUTES 256
#define MAX_INTERFACES 64
#define MAX_WATCHES 8
#define FIRST_HANDLE 0x5000

static struct {
    int routes, interfaces;
    MIB_IPFORWARD_ROW2 route[MAX_ROUTES];
    MIB_IPINTERFACE_ROW row[MAX_INTERFACES];
} model;
static struct { PIPFORWARD_CHANGE_CALLBACK callback; void *context; } watches[MAX_WATCHES];
static CRITICAL_SECTION lock;
static int changes, fault;

static void prepare(void)
{
    char text[16];
    InitializeCriticalSection(&lock);
    if (GetEnvironmentVariableA("SOFTLAN_NETFAULT", text, sizeof text)) fault = atoi(text);
}

// Takes the lock, and the model as it is now: a test that replaces the file plays whoever else changes Windows' tables.
static void enter(void)
{
    char path[MAX_PATH];
    DWORD length;
    EnterCriticalSection(&lock);
    if (!GetEnvironmentVariableA("SOFTLAN_NETMODEL", path, sizeof path)) return;
    HANDLE file = CreateFileA(path, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, 0, OPEN_EXISTING, 0, 0);
    if (file == INVALID_HANDLE_VALUE) return;
    ReadFile(file, &model, sizeof model, &length, 0);
    CloseHandle(file);
}

static void save(void)
{
    char path[MAX_PATH];
    DWORD length;
    if (!GetEnvironmentVariableA("SOFTLAN_NETMODEL", path, sizeof path)) return;
    HANDLE file = CreateFileA(path, GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, 0, OPEN_ALWAYS, 0, 0);
    WriteFile(file, &model, sizeof model, &length, 0);
    CloseHandle(file);
}

static void log_line(const char *format, ...)
{
    char path[MAX_PATH], line[512];
    va_list arguments;
    DWORD written;
    if (!GetEnvironmentVariableA("SOFTLAN_NETLOG", path, sizeof path)) return;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line - 2, format, arguments);
    va_end(arguments);
    line[length++] = '\n';
    HANDLE file = CreateFileA(path, FILE_APPEND_DATA, FILE_SHARE_READ | FILE_SHARE_WRITE, 0, OPEN_ALWAYS, 0, 0);
    WriteFile(file, line, length, &written, 0);
    CloseHandle(file);
}

// Counts a change; the lock is held. Returns whether this one is to fail.
static int is_fault(void) { return ++changes == fault; }

static const char *text_of(const SOCKADDR_INET *address, char *text)
{
    if (address->si_family == AF_INET6) {
        const UCHAR *b = address->Ipv6.sin6_addr.s6_addr;
        for (int i = 0; i < 8; i++) text += sprintf(text, i ? ":%x" : "%x", b[2 * i] << 8 | b[2 * i + 1]);
        return text;
    }
    const UCHAR *b = (const UCHAR *)&address->Ipv4.sin_addr;
    sprintf(text, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
    return text;
}

static void log_route(const char *what, const MIB_IPFORWARD_ROW2 *row, DWORD result)
{
    char destination[64], next_hop[64];
    text_of(&row->DestinationPrefix.Prefix, destination);
    text_of(&row->NextHop, next_hop);
    log_line("%s %s/%u via %s if=%lu metric=%lu rc=%lu", what, destination, row->DestinationPrefix.PrefixLength, next_hop,
        row->InterfaceIndex, row->Metric, result);
}

static void complete_names(NET_LUID *luid, NET_IFINDEX *index)
{
    if (luid->Value && !*index) ConvertInterfaceLuidToIndex(luid, index);
    else if (!luid->Value && *index) ConvertInterfaceIndexToLuid(*index, luid);
}

static int is_same_address(const SOCKADDR_INET *a, const SOCKADDR_INET *b)
{
    if (a->si_family != b->si_family) return 0;
    return a->si_family == AF_INET6 ? !memcmp(&a->Ipv6.sin6_addr, &b->Ipv6.sin6_addr, 16)
                                    : !memcmp(&a->Ipv4.sin_addr, &b->Ipv4.sin_addr, 4);
}

static int find_route(const MIB_IPFORWARD_ROW2 *row)
{
    for (int i = 0; i < model.routes; i++) {
        MIB_IPFORWARD_ROW2 *other = &model.route[i];
        if (other->InterfaceIndex == row->InterfaceIndex
            && other->DestinationPrefix.PrefixLength == row->DestinationPrefix.PrefixLength
            && is_same_address(&other->DestinationPrefix.Prefix, &row->DestinationPrefix.Prefix)
            && is_same_address(&other->NextHop, &row->NextHop)) return i;
    }
    return -1;
}

static void tell(void)
{
    for (int i = 0; i < MAX_WATCHES; i++)
        if (watches[i].callback) watches[i].callback(watches[i].context, NULL, MibParameterNotification);
}

EXPORT VOID WINAPI InitializeIpForwardEntry(PMIB_IPFORWARD_ROW2 row)
{
    memset(row, 0, sizeof *row);
    row->ValidLifetime = row->PreferredLifetime = 0xffffffff;
    row->Loopback = row->AutoconfigureAddress = row->Publish = row->Immortal = TRUE;
    row->Metric = 0xffffffff;
    row->Protocol = MIB_IPPROTO_NETMGMT;
}

EXPORT DWORD WINAPI CreateIpForwardEntry2(const MIB_IPFORWARD_ROW2 *wanted)
{
    MIB_IPFORWARD_ROW2 row = *wanted;
    DWORD result = NO_ERROR;
    complete_names(&row.InterfaceLuid, &row.InterfaceIndex);
    enter();
    if (is_fault()) result = ERROR_GEN_FAILURE;
    else if (!row.InterfaceIndex) result = ERROR_NOT_FOUND;
    else if (row.NextHop.si_family != row.DestinationPrefix.Prefix.si_family) result = ERROR_INVALID_PARAMETER;
    else if (find_route(&row) >= 0) result = ERROR_OBJECT_ALREADY_EXISTS;
    else if (model.routes == MAX_ROUTES) result = ERROR_NOT_ENOUGH_MEMORY;
    else model.route[model.routes++] = row;
    save();
    log_route("create-route", &row, result);
    LeaveCriticalSection(&lock);
    if (!result) tell();
    return result;
}

EXPORT DWORD WINAPI DeleteIpForwardEntry2(const MIB_IPFORWARD_ROW2 *wanted)
{
    MIB_IPFORWARD_ROW2 row = *wanted;
    complete_names(&row.InterfaceLuid, &row.InterfaceIndex);
    enter();
    int place = find_route(&row);
    DWORD result = is_fault() ? ERROR_GEN_FAILURE : place < 0 ? ERROR_NOT_FOUND : NO_ERROR;
    if (!result) {
        // The order stays, and nothing is left behind: tests compare the file.
        memmove(&model.route[place], &model.route[place + 1], (MAX_ROUTES - 1 - place) * sizeof model.route[0]);
        memset(&model.route[MAX_ROUTES - 1], 0, sizeof model.route[0]);
        model.routes--;
    }
    save();
    log_route("delete-route", &row, result);
    LeaveCriticalSection(&lock);
    if (!result) tell();
    return result;
}

// Wine's routes and the model's.
EXPORT DWORD WINAPI GetIpForwardTable2(ADDRESS_FAMILY family, PMIB_IPFORWARD_TABLE2 *table)
{
    static DWORD (WINAPI *original)(ADDRESS_FAMILY, PMIB_IPFORWARD_TABLE2 *);
    PMIB_IPFORWARD_TABLE2 kernel = NULL;
    if (!original) original = (void *)GetProcAddress(LoadLibraryA("wineiphl.dll"), "GetIpForwardTable2");
    DWORD result = original(family, &kernel);
    if (result) return result;
    enter();
    SIZE_T most = kernel->NumEntries + model.routes + 1;
    *table = HeapAlloc(GetProcessHeap(), 0, sizeof **table + most * sizeof(MIB_IPFORWARD_ROW2));
    memcpy((*table)->Table, kernel->Table, kernel->NumEntries * sizeof(MIB_IPFORWARD_ROW2));
    (*table)->NumEntries = kernel->NumEntries;
    for (int i = 0; i < model.routes; i++)
        if (family == AF_UNSPEC || model.route[i].NextHop.si_family == family)
            (*table)->Table[(*table)->NumEntries++] = model.route[i];
    LeaveCriticalSection(&lock);
    FreeMibTable(kernel);
    return NO_ERROR;
}

// Finds the row, or makes one as Windows does for a new adapter. The lock is held.
static MIB_IPINTERFACE_ROW *find_interface(MIB_IPINTERFACE_ROW *wanted)
{
    MIB_IF_ROW2 known;
    complete_names(&wanted->InterfaceLuid, &wanted->InterfaceIndex);
    if (!wanted->InterfaceIndex || (wanted->Family != AF_INET && wanted->Family != AF_INET6)) return NULL;
    for (int i = 0; i < model.interfaces; i++)
        if (model.row[i].InterfaceIndex == wanted->InterfaceIndex && model.row[i].Family == wanted->Family)
            return &model.row[i];
    memset(&known, 0, sizeof known);
    known.InterfaceIndex = wanted->InterfaceIndex;
    if (model.interfaces == MAX_INTERFACES || GetIfEntry2(&known)) return NULL;

    MIB_IPINTERFACE_ROW *row = &model.row[model.interfaces++];
    memset(row, 0, sizeof *row);
    row->Family = wanted->Family;
    row->InterfaceLuid = wanted->InterfaceLuid;
    row->InterfaceIndex = wanted->InterfaceIndex;
    row->NlMtu = 1500;
    row->UseAutomaticMetric = TRUE;
    row->Metric = 25;
    row->SitePrefixLength = 64;
    row->Connected = TRUE;
    row->DadTransmits = 3;
    row->RouterDiscoveryBehavior = wanted->Family == AF_INET ? RouterDiscoveryDhcp : RouterDiscoveryEnabled;
    return row;
}

EXPORT DWORD WINAPI GetIpInterfaceEntry(PMIB_IPINTERFACE_ROW wanted)
{
    enter();
    MIB_IPINTERFACE_ROW *row = find_interface(wanted);
    if (row) *wanted = *row;
    LeaveCriticalSection(&lock);
    return row ? NO_ERROR : ERROR_NOT_FOUND;
}

EXPORT DWORD WINAPI SetIpInterfaceEntry(PMIB_IPINTERFACE_ROW wanted)
{
    DWORD result = NO_ERROR;
    enter();
    MIB_IPINTERFACE_ROW *row = find_interface(wanted);
    if (is_fault()) result = ERROR_GEN_FAILURE;
    else if (!row) result = ERROR_NOT_FOUND;
    else if (wanted->Family == AF_INET && wanted->SitePrefixLength > 32) result = ERROR_INVALID_PARAMETER;
    else {
        row->NlMtu = wanted->NlMtu;
        row->UseAutomaticMetric = wanted->UseAutomaticMetric;
        row->Metric = wanted->UseAutomaticMetric ? 25 : wanted->Metric;
        row->DisableDefaultRoutes = wanted->DisableDefaultRoutes;
        row->RouterDiscoveryBehavior = wanted->RouterDiscoveryBehavior;
    }
    save();
    log_line("set-interface if=%lu family=%u mtu=%lu automatic=%u metric=%lu nodefault=%u discovery=%d rc=%lu",
        wanted->InterfaceIndex, wanted->Family == AF_INET ? 4 : 6, wanted->NlMtu, wanted->UseAutomaticMetric, wanted->Metric,
        wanted->DisableDefaultRoutes, wanted->RouterDiscoveryBehavior, result);
    LeaveCriticalSection(&lock);
    if (!result) tell();
    return result;
}

EXPORT DWORD WINAPI NotifyRouteChange2(ADDRESS_FAMILY family, PIPFORWARD_CHANGE_CALLBACK callback, PVOID context, BOOLEAN initial, HANDLE *handle)
{
    for (int i = 0; i < MAX_WATCHES; i++) {
        if (watches[i].callback) continue;
        watches[i].context = context;
        watches[i].callback = callback;
        *handle = (HANDLE)(ULONG_PTR)(FIRST_HANDLE + i);
        if (initial) callback(context, NULL, MibInitialNotification);
        return NO_ERROR;
    }
    return ERROR_NOT_ENOUGH_MEMORY;
}

EXPORT DWORD WINAPI CancelMibChangeNotify2(HANDLE handle)
{
    ULONG_PTR place = (ULONG_PTR)handle - FIRST_HANDLE;
    if (place < MAX_WATCHES) watches[place].callback = NULL;
    return NO_ERROR;
}

BOOL WINAPI DllMain(HINSTANCE instance, DWORD reason, LPVOID reserved)
{
    if (reason == DLL_PROCESS_ATTACH) prepare();
    return TRUE;
}
