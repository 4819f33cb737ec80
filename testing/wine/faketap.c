// faketap.sys: a stand-in for tap0901.sys (TAP-Windows6) that Wine can load.
//
// Wine runs .sys files in a user process, so that this "kernel driver" may use sockets. It answers the requests that softlan makes of
// the real driver and keeps its rules where a client could get them wrong: one opener, many reads at a time in order, ERROR_OPERATION_
// ABORTED (995) while the cable is out, reads that stay pending when the cable is pulled, the MAC taken from NetworkAddress only if it
// is locally administered. Ethernet frames come and go over loopback UDP, one datagram each; a datagram of one byte pulls the cable.
//
// It must import neither kernel32 nor ntdll: Wine would take it for an ordinary library then and call DriverEntry as its DllMain.
#define _WIN32_WINNT 0x0A00
#include <ddk/wdm.h>

typedef unsigned long DWORD;
typedef unsigned long long Socket;

struct WsaData { char bytes[512]; };
struct Endpoint { short family; unsigned short port; unsigned long address; char zero[8]; };

__declspec(dllimport) int __stdcall WSAStartup(unsigned short, struct WsaData *);
__declspec(dllimport) Socket __stdcall socket(int, int, int);
__declspec(dllimport) int __stdcall bind(Socket, const struct Endpoint *, int);
__declspec(dllimport) int __stdcall sendto(Socket, const char *, int, int, const struct Endpoint *, int);
__declspec(dllimport) int __stdcall recv(Socket, char *, int, int);
__declspec(dllimport) int __stdcall closesocket(Socket);
__declspec(dllimport) NTSTATUS NTAPI ZwWaitForSingleObject(HANDLE, BOOLEAN, LARGE_INTEGER *);
__declspec(dllimport) LONG __stdcall RegOpenKeyExW(HANDLE, const WCHAR *, DWORD, DWORD, HANDLE *);
__declspec(dllimport) LONG __stdcall RegQueryValueExW(HANDLE, const WCHAR *, DWORD *, DWORD *, void *, DWORD *);
__declspec(dllimport) LONG __stdcall RegEnumKeyExW(HANDLE, DWORD, WCHAR *, DWORD *, void *, void *, void *, void *);
__declspec(dllimport) LONG __stdcall RegCloseKey(HANDLE);

#define LOCAL_MACHINE ((HANDLE)(ULONG_PTR)0x80000002)
#define READ_ACCESS 0x20019
#define CLASS_KEY L"SYSTEM\\CurrentControlSet\\Control\\Class\\{4D36E972-E325-11CE-BFC1-08002BE10318}"
#define LOOPBACK 0x0100007f // 127.0.0.1 in network order
#define TAP_CONTROL(number) ((0x22 << 16) | ((number) << 2))
#define MAX_FRAME 1600
#define QUEUE_FRAMES 256

struct Frame { int length; char bytes[MAX_FRAME]; };

// One adapter.
struct Adapter {
    UNICODE_STRING link;
    WCHAR link_text[128];
    UCHAR mac[6];
    ULONG major, minor, mtu;
    BOOLEAN media, stopping;
    FILE_OBJECT *owner;
    Socket socket;
    struct Endpoint own, peer;
    HANDLE receiver; // the thread that runs receive()
    KSPIN_LOCK lock;
    LIST_ENTRY reads;
    struct Frame queue[QUEUE_FRAMES];
    int first, queued;
};

static unsigned short swapped(unsigned short value) { return (value >> 8) | (value << 8); }

static void copy(void *to, const void *from, int length)
{
    for (int i = 0; i < length; i++) ((char *)to)[i] = ((const char *)from)[i];
}

static NTSTATUS complete(PIRP irp, NTSTATUS status, ULONG_PTR information)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = information;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

static void NTAPI cancel_read(PDEVICE_OBJECT device, PIRP irp)
{
    struct Adapter *adapter = device->DeviceExtension;
    KIRQL irql;
    IoReleaseCancelSpinLock(irp->CancelIrql);
    KeAcquireSpinLock(&adapter->lock, &irql);
    RemoveEntryList(&irp->Tail.Overlay.ListEntry);
    InitializeListHead(&irp->Tail.Overlay.ListEntry);
    KeReleaseSpinLock(&adapter->lock, irql);
    complete(irp, STATUS_CANCELLED, 0);
}

// Takes the oldest read that is not being cancelled. The lock is held.
static PIRP take_read(struct Adapter *adapter)
{
    while (!IsListEmpty(&adapter->reads)) {
        PLIST_ENTRY entry = RemoveHeadList(&adapter->reads);
        PIRP irp = CONTAINING_RECORD(entry, IRP, Tail.Overlay.ListEntry);
        if (IoSetCancelRoutine(irp, NULL)) return irp;
        InitializeListHead(entry);
    }
    return NULL;
}

static void give_frame(PIRP irp, const char *bytes, int length)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(irp);
    if ((int)stack->Parameters.Read.Length < length) {
        complete(irp, STATUS_BUFFER_OVERFLOW, 0); // the frame is lost, as with the real driver
        return;
    }
    copy(irp->AssociatedIrp.SystemBuffer, bytes, length);
    complete(irp, STATUS_SUCCESS, length);
}

static void cancel_all(struct Adapter *adapter)
{
    KIRQL irql;
    PIRP irp;
    do {
        KeAcquireSpinLock(&adapter->lock, &irql);
        irp = take_read(adapter);
        adapter->queued = 0;
        KeReleaseSpinLock(&adapter->lock, irql);
        if (irp) complete(irp, STATUS_CANCELLED, 0);
    } while (irp);
}

// Runs on a thread of its own: datagrams become frames.
static void NTAPI receive(void *context)
{
    struct Adapter *adapter = context;
    char bytes[2048];
    while (!adapter->stopping) {
        int length = recv(adapter->socket, bytes, sizeof bytes, 0);
        if (length == 1) { // the cable is pulled and reads end, as when the system goes to sleep
            adapter->media = FALSE;
            cancel_all(adapter);
        }
        if (length <= 1 || length > MAX_FRAME || !adapter->media || !adapter->owner) continue;
        KIRQL irql;
        KeAcquireSpinLock(&adapter->lock, &irql);
        PIRP irp = take_read(adapter);
        if (!irp && adapter->queued < QUEUE_FRAMES) {
            struct Frame *frame = &adapter->queue[(adapter->first + adapter->queued++) % QUEUE_FRAMES];
            frame->length = length;
            copy(frame->bytes, bytes, length);
        }
        KeReleaseSpinLock(&adapter->lock, irql);
        if (irp) give_frame(irp, bytes, length);
    }
}

static NTSTATUS NTAPI on_create(PDEVICE_OBJECT device, PIRP irp)
{
    struct Adapter *adapter = device->DeviceExtension;
    FILE_OBJECT *file = IoGetCurrentIrpStackLocation(irp)->FileObject;
    void *other = InterlockedCompareExchangePointer((void **)&adapter->owner, file, NULL);
    return complete(irp, other ? STATUS_UNSUCCESSFUL : STATUS_SUCCESS, 0);
}

static int is_owner(struct Adapter *adapter, PIRP irp)
{
    return IoGetCurrentIrpStackLocation(irp)->FileObject == adapter->owner;
}

static NTSTATUS NTAPI on_cleanup(PDEVICE_OBJECT device, PIRP irp)
{
    struct Adapter *adapter = device->DeviceExtension;
    if (is_owner(adapter, irp)) {
        adapter->media = FALSE;
        cancel_all(adapter);
    }
    return complete(irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI on_close(PDEVICE_OBJECT device, PIRP irp)
{
    struct Adapter *adapter = device->DeviceExtension;
    if (is_owner(adapter, irp)) {
        adapter->media = FALSE;
        cancel_all(adapter);
        adapter->owner = NULL;
    }
    return complete(irp, STATUS_SUCCESS, 0);
}

// Wine 8 hands out a handle even when the open was refused, so that a second opener is refused again here. The status becomes the
// error 31 that the real driver's refusal to open has.
static NTSTATUS refuse(PIRP irp) { return complete(irp, STATUS_UNSUCCESSFUL, 0); }

static NTSTATUS NTAPI on_read(PDEVICE_OBJECT device, PIRP irp)
{
    struct Adapter *adapter = device->DeviceExtension;
    KIRQL irql;
    if (!is_owner(adapter, irp)) return refuse(irp);
    if (!adapter->media) return complete(irp, STATUS_CANCELLED, 0);

    KeAcquireSpinLock(&adapter->lock, &irql);
    if (adapter->queued) {
        struct Frame *frame = &adapter->queue[adapter->first];
        char bytes[MAX_FRAME];
        int length = frame->length;
        copy(bytes, frame->bytes, length);
        adapter->first = (adapter->first + 1) % QUEUE_FRAMES;
        adapter->queued--;
        KeReleaseSpinLock(&adapter->lock, irql);
        give_frame(irp, bytes, length);
        return STATUS_SUCCESS;
    }
    IoMarkIrpPending(irp);
    InsertTailList(&adapter->reads, &irp->Tail.Overlay.ListEntry);
    IoSetCancelRoutine(irp, cancel_read);
    KeReleaseSpinLock(&adapter->lock, irql);
    return STATUS_PENDING;
}

static NTSTATUS NTAPI on_write(PDEVICE_OBJECT device, PIRP irp)
{
    struct Adapter *adapter = device->DeviceExtension;
    ULONG length = IoGetCurrentIrpStackLocation(irp)->Parameters.Write.Length;
    if (!is_owner(adapter, irp)) return refuse(irp);
    if (!adapter->media) return complete(irp, STATUS_CANCELLED, 0);
    if (length < 14) return complete(irp, STATUS_BUFFER_TOO_SMALL, 0);
    sendto(adapter->socket, irp->AssociatedIrp.SystemBuffer, length, 0, &adapter->peer, sizeof adapter->peer);
    return complete(irp, STATUS_SUCCESS, length);
}

static NTSTATUS NTAPI on_control(PDEVICE_OBJECT device, PIRP irp)
{
    struct Adapter *adapter = device->DeviceExtension;
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(irp);
    ULONG in = stack->Parameters.DeviceIoControl.InputBufferLength;
    ULONG out = stack->Parameters.DeviceIoControl.OutputBufferLength;
    ULONG *numbers = irp->AssociatedIrp.SystemBuffer;
    if (!is_owner(adapter, irp)) return refuse(irp);

    switch (stack->Parameters.DeviceIoControl.IoControlCode) {
    case TAP_CONTROL(1): // GET_MAC
        if (out < 6) return complete(irp, STATUS_BUFFER_TOO_SMALL, 0);
        copy(numbers, adapter->mac, 6);
        return complete(irp, STATUS_SUCCESS, 6);
    case TAP_CONTROL(2): // GET_VERSION
        if (out < 12) return complete(irp, STATUS_BUFFER_TOO_SMALL, 0);
        numbers[0] = adapter->major;
        numbers[1] = adapter->minor;
        numbers[2] = 0;
        return complete(irp, STATUS_SUCCESS, 12);
    case TAP_CONTROL(3): // GET_MTU
        if (out < 4) return complete(irp, STATUS_BUFFER_TOO_SMALL, 0);
        numbers[0] = adapter->mtu;
        return complete(irp, STATUS_SUCCESS, 4);
    case TAP_CONTROL(6): // SET_MEDIA_STATUS; pending reads stay pending, as with the real driver
        if (in < 4) return complete(irp, STATUS_INVALID_PARAMETER, 0);
        adapter->media = numbers[0] != 0;
        return complete(irp, STATUS_SUCCESS, 4);
    default:
        return complete(irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

static int append(WCHAR *text, int at, const WCHAR *more)
{
    while (*more) text[at++] = *more++;
    text[at] = 0;
    return at;
}

static int digit(WCHAR c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// Reads pairs of digits, whatever stands between them, and returns how many bytes they made.
static int read_hex(const WCHAR *text, UCHAR *bytes, int most)
{
    int made = 0, high = -1;
    for (; *text && made < most; text++) {
        int value = digit(*text);
        if (value < 0) continue;
        if (high < 0) { high = value; continue; }
        bytes[made++] = high * 16 + value;
        high = -1;
    }
    return made;
}

static ULONG number_of(HANDLE key, const WCHAR *name, ULONG otherwise)
{
    DWORD value = otherwise, length = sizeof value;
    return RegQueryValueExW(key, name, NULL, NULL, &value, &length) ? otherwise : value;
}

// 00:FF and the first four bytes of the GUID, unless NetworkAddress is a locally administered unicast address.
static void choose_mac(HANDLE key, const WCHAR *guid, UCHAR *mac)
{
    WCHAR text[40] = {0};
    DWORD length = sizeof text - sizeof(WCHAR);
    UCHAR wanted[6];
    mac[0] = 0;
    mac[1] = 0xff;
    read_hex(guid, mac + 2, 4);
    if (RegQueryValueExW(key, L"NetworkAddress", NULL, NULL, text, &length)) return;
    if (read_hex(text, wanted, 6) == 6 && (wanted[0] & 2) && !(wanted[0] & 1)) copy(mac, wanted, 6);
}

static NTSTATUS add_adapter(PDRIVER_OBJECT driver, HANDLE key, const WCHAR *guid)
{
    WCHAR text[128];
    UNICODE_STRING name;
    PDEVICE_OBJECT device;
    append(text, append(text, append(text, 0, L"\\Device\\"), guid), L".tap");
    RtlInitUnicodeString(&name, text);
    NTSTATUS status = IoCreateDevice(driver, sizeof(struct Adapter), &name, 0x22, 0, FALSE, &device);
    if (status) return status;

    struct Adapter *adapter = device->DeviceExtension;
    append(adapter->link_text, append(adapter->link_text, append(adapter->link_text, 0, L"\\DosDevices\\Global\\"), guid), L".tap");
    RtlInitUnicodeString(&adapter->link, adapter->link_text);
    choose_mac(key, guid, adapter->mac);
    adapter->major = number_of(key, L"FakeMajor", 9);
    adapter->minor = number_of(key, L"FakeMinor", 27);
    adapter->mtu = 1500;
    adapter->own = (struct Endpoint){2, swapped(number_of(key, L"FakePort", 0)), LOOPBACK};
    adapter->peer = (struct Endpoint){2, swapped(number_of(key, L"FakePeer", 0)), LOOPBACK};
    KeInitializeSpinLock(&adapter->lock);
    InitializeListHead(&adapter->reads);
    adapter->socket = socket(2, 2, 17);
    if (bind(adapter->socket, &adapter->own, sizeof adapter->own)) return STATUS_ADDRESS_ALREADY_EXISTS;
    status = IoCreateSymbolicLink(&adapter->link, &name);
    if (status) return status;
    device->Flags |= DO_BUFFERED_IO;
    device->Flags &= ~DO_DEVICE_INITIALIZING;
    return PsCreateSystemThread(&adapter->receiver, 0x1fffff, NULL, NULL, NULL, receive, adapter);
}

// Ends the thread and waits for it: what it runs and what it reads are gone once the driver is unloaded.
static void end_receiver(struct Adapter *adapter)
{
    if (!adapter->receiver) return;
    adapter->stopping = TRUE;
    sendto(adapter->socket, "", 0, 0, &adapter->own, sizeof adapter->own); // wakes it, if no frame does
    ZwWaitForSingleObject(adapter->receiver, FALSE, NULL);
    ZwClose(adapter->receiver);
}

static void NTAPI on_unload(PDRIVER_OBJECT driver)
{
    PDEVICE_OBJECT device = driver->DeviceObject;
    while (device) {
        PDEVICE_OBJECT next = device->NextDevice;
        struct Adapter *adapter = device->DeviceExtension;
        end_receiver(adapter);
        closesocket(adapter->socket);
        IoDeleteSymbolicLink(&adapter->link);
        IoDeleteDevice(device);
        device = next;
    }
}

// Every network adapter in the registry that has a FakePort becomes a device, unless it is marked as disabled (FakeDisabled).
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    static struct WsaData wsa;
    HANDLE class, key;
    int made = 0;
    WSAStartup(0x202, &wsa);
    driver->MajorFunction[IRP_MJ_CREATE] = on_create;
    driver->MajorFunction[IRP_MJ_CLEANUP] = on_cleanup;
    driver->MajorFunction[IRP_MJ_CLOSE] = on_close;
    driver->MajorFunction[IRP_MJ_READ] = on_read;
    driver->MajorFunction[IRP_MJ_WRITE] = on_write;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = on_control;
    driver->DriverUnload = on_unload;

    if (RegOpenKeyExW(LOCAL_MACHINE, CLASS_KEY, 0, READ_ACCESS, &class)) return STATUS_UNSUCCESSFUL;
    for (DWORD place = 0;; place++) {
        WCHAR name[64], guid[64] = {0};
        DWORD length = 64, guid_length = sizeof guid - sizeof(WCHAR);
        if (RegEnumKeyExW(class, place, name, &length, 0, 0, 0, 0)) break;
        if (RegOpenKeyExW(class, name, 0, READ_ACCESS, &key)) continue;
        if (number_of(key, L"FakePort", 0) && !number_of(key, L"FakeDisabled", 0)
            && !RegQueryValueExW(key, L"NetCfgInstanceId", NULL, NULL, guid, &guid_length)
            && !add_adapter(driver, key, guid)) made++;
        RegCloseKey(key);
    }
    RegCloseKey(class);
    return made ? STATUS_SUCCESS : STATUS_NO_SUCH_DEVICE;
}
