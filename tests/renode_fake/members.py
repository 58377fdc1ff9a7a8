"""Every class, member and command that the agent touches, and where Renode has it.

Read for this at the tags v1.15.3 and v1.16.1 of renode/renode, and at the commits of
renode/renode-infrastructure that these tags name (9736cf57 and add012af): each file that stands here,
for the signature of the member and for what it does. What was not read but measured on Renode 1.15.3
and 1.16.1 on Mono: that IronPython calls these members as the agent does (delegates from functions,
events with `+=`, pairs for `out` parameters), that RunFor ends exactly where it should, and that
actions are exact within it. Nothing of the agent was measured on .NET, which 1.16.1 prefers.
"""

from __future__ import annotations

from typing import NamedTuple

RELEASES = ("1.15.3", "1.16.1")


class Source(NamedTuple):
    """Where something is: a repository, and a file of it in each release."""

    repository: str
    files: tuple[str, str]


def _infrastructure(file: str, later: str | None = None) -> Source:
    first, second = (f"src/Emulator/{each}" for each in (file, later or file))
    return Source("renode/renode-infrastructure", (first, second))


def _net(assembly: str) -> Source:
    """Of .NET's own: its assembly; on Mono all of these are in mscorlib and System."""
    return Source(".NET", (assembly, assembly))


_EMULATION = _infrastructure("Main/Core/Emulation.cs")
_MANAGER = _infrastructure("Main/Core/EmulationManager.cs")
_MACHINE = _infrastructure("Main/Core/Machine.cs")
_SOURCES = _infrastructure("Main/Time/TimeSourceBase.cs")
_INTERVAL = _infrastructure("Main/Time/TimeInterval.cs")
_DOMAINS = _infrastructure("Main/Time/TimeDomainsManager.cs")
_CPU = _infrastructure("Peripherals/Peripherals/CPU/BaseCPU.cs")
_TRANSLATED = _infrastructure("Peripherals/Peripherals/CPU/TranslationCPU.cs")
_UART = _infrastructure("Peripherals/Peripherals/UART/STM32_UART.cs")
_EATER = _infrastructure("Extensions/UserInterface/CommandInteractionEater.cs")
_MONITOR = _infrastructure("Extensions/UserInterface/Monitor.cs")
_EMULATOR = _infrastructure("Main/Emulator.cs")
_CORE, _SOCKETS = _net("System.Private.CoreLib"), _net("System.Net.Sockets")

MEMBERS = {
    # classes, as they are imported
    "Antmicro.Renode.Emulator": _EMULATOR,
    "Antmicro.Renode.Core.EmulationManager": _MANAGER,
    "Antmicro.Renode.Time.TimeDomainsManager": _DOMAINS,
    "Antmicro.Renode.Time.TimeInterval": _INTERVAL,
    "Antmicro.Renode.UserInterface.CommandInteractionEater": _EATER,
    "System.Action": _CORE,
    "System.Boolean": _CORE,
    "System.Byte": _CORE,
    "System.Console": _net("System.Console"),
    "System.Environment": _CORE,
    "System.IO.File": _CORE,
    "System.IO.StreamReader": _CORE,
    "System.IO.StreamWriter": _CORE,
    "System.Net.IPAddress": _net("System.Net.Primitives"),
    "System.Net.Sockets.TcpClient": _SOCKETS,
    "System.Text.UTF8Encoding": _CORE,
    "System.Threading.Thread": _CORE,
    "System.Threading.ThreadStart": _CORE,
    "System.UInt32": _CORE,
    "System.UInt64": _CORE,
    # the emulation
    "Emulator.Exit": _EMULATOR,
    "EmulationManager.Instance": _MANAGER,
    "EmulationManager.CurrentEmulation": _MANAGER,
    "Emulation.IsStarted": _EMULATION,
    "Emulation.Machines": _EMULATION,
    "Emulation.MasterTimeSource": _EMULATION,
    "Emulation.RunFor": _EMULATION,
    # time
    "MasterTimeSource.ElapsedVirtualTime": _SOURCES,
    "TimeDomainsManager.Instance": _DOMAINS,
    "TimeDomainsManager.TryGetVirtualTimeStamp": _DOMAINS,
    "TimeInterval.FromNanoseconds": _INTERVAL,
    "TimeInterval.Ticks": _INTERVAL,
    "TimeStamp.TimeElapsed": _infrastructure("Main/Time/TimeStamp.cs"),
    # the machine
    "Machine.[]": _MACHINE,
    "Machine.ScheduleAction": _MACHINE,
    "Machine.SystemBus": _MACHINE,
    "SystemBus.GetCPUs": _infrastructure("Main/Peripherals/Bus/SystemBus.cs"),
    "CortexM.ExecutedInstructions": _TRANSLATED,
    "CortexM.FaultStatus": _infrastructure("Cores/Arm-M/CortexM.cs"),
    "CortexM.GetType": _CORE,
    "CortexM.IsHalted": _CPU,
    "CortexM.MaximumBlockSize": _TRANSLATED,
    "CortexM.PerformanceInMips": _CPU,
    "CortexM.SyncTime": _TRANSLATED,
    "STM32_UART.CharReceived": _UART,
    "STM32_UART.GetType": _CORE,
    "STM32_UART.ReadDoubleWord": _infrastructure("Main/Peripherals/BasicDoubleWordPeripheral.cs"),
    "STM32_UART.WriteChar": _UART,
    "STM32_GPIOPort.Connections": _infrastructure("Main/Peripherals/GPIOPort/BaseGPIOPort.cs"),
    "STM32_GPIOPort.OnGPIO": _infrastructure("Peripherals/Peripherals/GPIOPort/STM32_GPIOPort.cs"),
    "GPIO.AddStateChangedHook": _infrastructure("Main/Core/GPIO.cs"),
    # the Monitor
    "Monitor.Interaction": _MONITOR,
    "Monitor.Parse": _MONITOR,
    "CommandInteractionEater.GetError": _EATER,
    # .NET
    "Console.Error": _net("System.Console"),
    "Environment.ExitCode": _CORE,
    "Environment.GetEnvironmentVariable": _CORE,
    "File.Exists": _CORE,
    "IPAddress.Loopback": _net("System.Net.Primitives"),
    "StreamReader.ReadLine": _CORE,
    "StreamWriter.Flush": _CORE,
    "StreamWriter.Write": _CORE,
    "TcpClient.Close": _SOCKETS,
    "TcpClient.Connect": _SOCKETS,
    "TcpClient.GetStream": _SOCKETS,
    "TcpClient.NoDelay": _SOCKETS,
    "TextWriter.WriteLine": _CORE,
    "Thread.IsBackground": _CORE,
    "Thread.Join": _CORE,
    "Thread.Name": _CORE,
    "Thread.Start": _CORE,
    "Type.Name": _CORE,
}
"""Class and member: where it is."""

_PLATFORM = "src/Renode/PlatformDescription/UserInterface/PlatformDescriptionMachineExtensions.cs"
_COMMANDS = "Extensions/UserInterface/Commands"
_TIME = _infrastructure("Extensions/UserInterface/MonitorTimeExtensions.cs")

COMMANDS = {
    "$bin=": _infrastructure(f"{_COMMANDS}/SetCommand.cs"),
    "emulation SetGlobalAdvanceImmediately": _TIME,
    "emulation SetGlobalQuantum": _TIME,
    "emulation SetSeed": _EMULATION,
    "include": _infrastructure(f"{_COMMANDS}/IncludeFileCommand.cs"),
    "logLevel": _infrastructure(f"{_COMMANDS}/LogLevelCommand.cs"),
    "mach create": _infrastructure(f"{_COMMANDS}/MachCommand.cs"),
    "mach set": _infrastructure(f"{_COMMANDS}/MachCommand.cs"),
    "machine LoadPlatformDescription": Source("renode/renode", (_PLATFORM, _PLATFORM)),
    "machine LoadPlatformDescriptionFromString": Source("renode/renode", (_PLATFORM, _PLATFORM)),
    "sysbus LoadELF": _infrastructure(
        "Main/Peripherals/Bus/SystemBus.cs", "Main/Core/Extensions/FileLoaderExtensions.cs"
    ),
}
"""Commands that the agent gives to the Monitor: where they are."""
