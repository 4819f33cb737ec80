// pnputil.exe: a stand-in for Windows' own. /restart-device stops and starts faketap.sys, so that it reads NetworkAddress again.
//
// Every call is appended to C:\pnputil.log. Where C:\pnputil.broken exists it claims success and does nothing.
#include <windows.h>
#include <stdio.h>

static int restart(void)
{
    SERVICE_STATUS status;
    SC_HANDLE manager = OpenSCManagerW(0, 0, SC_MANAGER_ALL_ACCESS);
    SC_HANDLE service = OpenServiceW(manager, L"faketap", SERVICE_ALL_ACCESS);
    if (!service) return 2;
    ControlService(service, SERVICE_CONTROL_STOP, &status);
    for (int i = 0; i < 100 && QueryServiceStatus(service, &status) && status.dwCurrentState != SERVICE_STOPPED; i++) Sleep(20);
    return StartServiceW(service, 0, 0) ? 0 : 3;
}

int wmain(int count, wchar_t **arguments)
{
    FILE *log = _wfopen(L"C:\\pnputil.log", L"a");
    for (int i = 1; i < count; i++) fwprintf(log, L"%ls ", arguments[i]);
    fwprintf(log, L"\n");
    fclose(log);
    if (count < 2 || _wcsicmp(arguments[1], L"/restart-device")) return 1;
    if (GetFileAttributesW(L"C:\\pnputil.broken") != INVALID_FILE_ATTRIBUTES) return 0;
    return restart();
}
