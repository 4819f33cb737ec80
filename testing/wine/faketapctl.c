// faketapctl.exe: does for faketap.sys what a driver's installer does.
//
//   faketapctl add NNNN {GUID} NAME PORT PEER   writes what an installed adapter has in the registry; frames go to and come from UDP
//   faketapctl set NNNN VALUE TEXT|dword:N      changes one value of the adapter's key (NetworkAddress, FakeMinor, FakeDisabled, ...)
//   faketapctl flags NNNN N                     sets ConfigFlags of its device: 1 is "disabled by the user"
//   faketapctl remove NNNN                      removes the adapter from the registry
//   faketapctl hold {GUID}                      opens the adapter and keeps it until it is ended
//   faketapctl start PATH | stop                loads and unloads the driver
#include <windows.h>
#include <stdio.h>

#define NETWORK L"{4D36E972-E325-11CE-BFC1-08002BE10318}"
#define CLASS L"SYSTEM\\CurrentControlSet\\Control\\Class\\" NETWORK L"\\%ls"
#define CONNECTION L"SYSTEM\\CurrentControlSet\\Control\\Network\\" NETWORK L"\\%ls\\Connection"
#define ENUM L"SYSTEM\\CurrentControlSet\\Enum\\ROOT\\NET\\%ls"

static HKEY open_key(const wchar_t *format, const wchar_t *name)
{
    wchar_t path[300];
    HKEY key;
    swprintf(path, 300, format, name);
    if (RegCreateKeyExW(HKEY_LOCAL_MACHINE, path, 0, 0, 0, KEY_ALL_ACCESS, 0, &key, 0)) {
        fprintf(stderr, "cannot write %ls\n", path);
        ExitProcess(1);
    }
    return key;
}

static void put(HKEY key, const wchar_t *name, const wchar_t *text)
{
    RegSetValueExW(key, name, 0, REG_SZ, (const BYTE *)text, (wcslen(text) + 1) * sizeof(wchar_t));
}

static void put_number(HKEY key, const wchar_t *name, DWORD number)
{
    RegSetValueExW(key, name, 0, REG_DWORD, (const BYTE *)&number, sizeof number);
}

static int add(wchar_t **arguments)
{
    wchar_t instance[64];
    swprintf(instance, 64, L"ROOT\\NET\\%ls", arguments[0]);
    HKEY key = open_key(CLASS, arguments[0]);
    put(key, L"ComponentId", L"root\\tap0901");
    put(key, L"NetCfgInstanceId", arguments[1]);
    put(key, L"DriverDesc", L"TAP-Windows Adapter V9");
    put(key, L"ProviderName", L"TAP-Windows Provider V9");
    put(key, L"DriverVersion", L"9.0.0.27");
    put(key, L"DeviceInstanceID", instance);
    put(key, L"MTU", L"1500");
    put(key, L"AllowNonAdmin", L"1");
    put_number(key, L"*IfType", 53);
    put_number(key, L"FakePort", _wtoi(arguments[3]));
    put_number(key, L"FakePeer", _wtoi(arguments[4]));
    RegCloseKey(key);
    key = open_key(CONNECTION, arguments[1]);
    put(key, L"Name", arguments[2]);
    put(key, L"PnPInstanceId", instance);
    RegCloseKey(key);
    key = open_key(ENUM, arguments[0]);
    put_number(key, L"ConfigFlags", 0);
    RegCloseKey(key);
    return 0;
}

static int set(wchar_t **arguments)
{
    HKEY key = open_key(CLASS, arguments[0]);
    if (!wcsncmp(arguments[2], L"dword:", 6)) put_number(key, arguments[1], _wtoi(arguments[2] + 6));
    else put(key, arguments[1], arguments[2]);
    RegCloseKey(key);
    return 0;
}

static int set_flags(wchar_t **arguments)
{
    HKEY key = open_key(ENUM, arguments[0]);
    put_number(key, L"ConfigFlags", _wtoi(arguments[1]));
    RegCloseKey(key);
    return 0;
}

static int remove_adapter(const wchar_t *name)
{
    wchar_t path[300];
    swprintf(path, 300, CLASS, name);
    return RegDeleteTreeW(HKEY_LOCAL_MACHINE, path) != 0;
}

static int start(const wchar_t *path)
{
    SC_HANDLE manager = OpenSCManagerW(0, 0, SC_MANAGER_ALL_ACCESS);
    SC_HANDLE service = CreateServiceW(manager, L"faketap", L"faketap", SERVICE_ALL_ACCESS, SERVICE_KERNEL_DRIVER,
        SERVICE_DEMAND_START, SERVICE_ERROR_NORMAL, path, 0, 0, 0, 0, 0);
    if (!service) service = OpenServiceW(manager, L"faketap", SERVICE_ALL_ACCESS);
    if (!StartServiceW(service, 0, 0)) {
        fprintf(stderr, "the driver did not start: error %lu\n", GetLastError());
        return 1;
    }
    return 0;
}

static int hold(const wchar_t *guid)
{
    wchar_t path[128];
    swprintf(path, 128, L"\\\\.\\Global\\%ls.tap", guid);
    HANDLE device = CreateFileW(path, GENERIC_READ | GENERIC_WRITE, 0, 0, OPEN_EXISTING, FILE_ATTRIBUTE_SYSTEM, 0);
    if (device == INVALID_HANDLE_VALUE) return 1;
    printf("holding\n");
    fflush(stdout);
    Sleep(INFINITE);
    return 0;
}

static int stop(void)
{
    SERVICE_STATUS status;
    SC_HANDLE manager = OpenSCManagerW(0, 0, SC_MANAGER_ALL_ACCESS);
    SC_HANDLE service = OpenServiceW(manager, L"faketap", SERVICE_ALL_ACCESS);
    if (!ControlService(service, SERVICE_CONTROL_STOP, &status)) return 1;
    for (int i = 0; i < 100 && QueryServiceStatus(service, &status) && status.dwCurrentState != SERVICE_STOPPED; i++) Sleep(20);
    return status.dwCurrentState != SERVICE_STOPPED;
}

int wmain(int count, wchar_t **arguments)
{
    if (count == 7 && !wcscmp(arguments[1], L"add")) return add(arguments + 2);
    if (count == 5 && !wcscmp(arguments[1], L"set")) return set(arguments + 2);
    if (count == 4 && !wcscmp(arguments[1], L"flags")) return set_flags(arguments + 2);
    if (count == 3 && !wcscmp(arguments[1], L"remove")) return remove_adapter(arguments[2]);
    if (count == 3 && !wcscmp(arguments[1], L"hold")) return hold(arguments[2]);
    if (count == 3 && !wcscmp(arguments[1], L"start")) return start(arguments[2]);
    if (count == 2 && !wcscmp(arguments[1], L"stop")) return stop();
    fprintf(stderr, "usage: faketapctl add|set|flags|remove|hold|start|stop ...\n");
    return 64;
}
