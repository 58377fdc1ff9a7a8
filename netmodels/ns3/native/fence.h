// SPDX-License-Identifier: GPL-2.0-only
//
// ns-3's clock in the hands of another: events run up to a bound, and no further.
//
// ns-3's own way, Stop(delay) and Run(), leaves its Stop event behind when a run ends early, runs
// what else happens at that time or not, depending on what was scheduled first, and does not tell
// when the next event is. So this is a simulator of our own, over ns-3's own scheduler. It executes
// the same events in the same order as ns3::DefaultSimulatorImpl.
#ifndef SIMCORE_NS3_FENCE_H
#define SIMCORE_NS3_FENCE_H

#include "ns3/core-module.h"

#include <cstdint>
#include <list>

namespace simcore
{

constexpr uint64_t NEVER = UINT64_MAX;

class FenceSimulator : public ns3::SimulatorImpl
{
  public:
    static ns3::TypeId GetTypeId()
    {
        static ns3::TypeId type = ns3::TypeId("simcore::FenceSimulator")
                                      .SetParent<ns3::SimulatorImpl>()
                                      .AddConstructor<FenceSimulator>();
        return type;
    }

    FenceSimulator()
    {
        ns3::ObjectFactory factory;
        factory.SetTypeId("ns3::MapScheduler");
        SetScheduler(factory);
    }

    /// Run what happens before `bound` (ns); after Stop(), only what happens at that very instant.
    /// Whether Stop() was called.
    bool RunUntil(uint64_t bound)
    {
        m_stopped = false;
        while (!m_events->IsEmpty())
        {
            uint64_t at = m_events->PeekNext().key.m_ts;
            if (at >= bound || (m_stopped && at > m_now))
            {
                break;
            }
            Step();
        }
        return m_stopped;
    }

    /// When something happens next (ns).
    uint64_t Next()
    {
        while (!m_events->IsEmpty())
        {
            ns3::Scheduler::Event next = m_events->PeekNext();
            if (!next.impl->IsCancelled())
            {
                return next.key.m_ts;
            }
            m_events->RemoveNext();
            next.impl->Unref();
        }
        return NEVER;
    }

    void Run() override
    {
        NS_FATAL_ERROR("simcore runs the simulation: leave out Simulator.Run()");
    }

    void Stop() override
    {
        m_stopped = true;
    }

    ns3::EventId Stop(const ns3::Time& delay) override
    {
        return ns3::Simulator::Schedule(delay, &ns3::Simulator::Stop);
    }

    bool IsFinished() const override
    {
        return m_events->IsEmpty() || m_stopped;
    }

    ns3::EventId Schedule(const ns3::Time& delay, ns3::EventImpl* event) override
    {
        return Insert(m_context, delay, event);
    }

    void ScheduleWithContext(uint32_t context,
                             const ns3::Time& delay,
                             ns3::EventImpl* event) override
    {
        Insert(context, delay, event);
    }

    ns3::EventId ScheduleNow(ns3::EventImpl* event) override
    {
        return Insert(m_context, ns3::Time(0), event);
    }

    ns3::EventId ScheduleDestroy(ns3::EventImpl* event) override
    {
        ns3::EventId id(ns3::Ptr<ns3::EventImpl>(event, false), m_now, 0xffffffff, AT_DESTROY);
        m_atDestroy.push_back(id);
        return id;
    }

    void Destroy() override
    {
        while (!m_atDestroy.empty())
        {
            ns3::Ptr<ns3::EventImpl> event = m_atDestroy.front().PeekEventImpl();
            m_atDestroy.pop_front();
            if (!event->IsCancelled())
            {
                event->Invoke();
            }
        }
    }

    void Remove(const ns3::EventId& id) override
    {
        if (id.GetUid() == AT_DESTROY)
        {
            m_atDestroy.remove(id);
            return;
        }
        if (IsExpired(id))
        {
            return;
        }
        ns3::Scheduler::Event event;
        event.impl = id.PeekEventImpl();
        event.key.m_ts = id.GetTs();
        event.key.m_context = id.GetContext();
        event.key.m_uid = id.GetUid();
        m_events->Remove(event);
        event.impl->Cancel();
        event.impl->Unref();
    }

    void Cancel(const ns3::EventId& id) override
    {
        if (!IsExpired(id))
        {
            id.PeekEventImpl()->Cancel();
        }
    }

    bool IsExpired(const ns3::EventId& id) const override
    {
        ns3::EventImpl* event = id.PeekEventImpl();
        if (event == nullptr || event->IsCancelled())
        {
            return true;
        }
        if (id.GetUid() == AT_DESTROY)
        {
            for (const auto& each : m_atDestroy)
            {
                if (each == id)
                {
                    return false;
                }
            }
            return true;
        }
        return id.GetTs() < m_now || (id.GetTs() == m_now && id.GetUid() <= m_current);
    }

    ns3::Time Now() const override
    {
        return ns3::TimeStep(m_now);
    }

    ns3::Time GetDelayLeft(const ns3::EventId& id) const override
    {
        return ns3::TimeStep(IsExpired(id) ? 0 : id.GetTs() - m_now);
    }

    ns3::Time GetMaximumSimulationTime() const override
    {
        return ns3::TimeStep(INT64_MAX);
    }

    void SetScheduler(ns3::ObjectFactory factory) override
    {
        auto scheduler = factory.Create<ns3::Scheduler>();
        while (m_events && !m_events->IsEmpty())
        {
            scheduler->Insert(m_events->RemoveNext());
        }
        m_events = scheduler;
    }

    uint32_t GetSystemId() const override
    {
        return 0;
    }

    uint32_t GetContext() const override
    {
        return m_context;
    }

    uint64_t GetEventCount() const override
    {
        return m_count;
    }

  private:
    static constexpr uint32_t AT_DESTROY = 2; // as in ns3::EventId: 0 is invalid, 1 is "now"

    void DoDispose() override
    {
        while (!m_events->IsEmpty())
        {
            m_events->RemoveNext().impl->Unref();
        }
        m_events = nullptr;
        SimulatorImpl::DoDispose();
    }

    ns3::EventId Insert(uint32_t context, const ns3::Time& delay, ns3::EventImpl* event)
    {
        NS_ABORT_MSG_IF(delay.IsStrictlyNegative(), "an event " << delay << " in the past");
        ns3::Scheduler::Event entry;
        entry.impl = event;
        entry.key.m_ts = m_now + delay.GetTimeStep();
        entry.key.m_context = context;
        entry.key.m_uid = m_uid++;
        m_events->Insert(entry);
        return ns3::EventId(event, entry.key.m_ts, context, entry.key.m_uid);
    }

    void Step()
    {
        ns3::Scheduler::Event next = m_events->RemoveNext();
        PreEventHook(
            ns3::EventId(next.impl, next.key.m_ts, next.key.m_context, next.key.m_uid));
        m_count++;
        m_now = next.key.m_ts;
        m_context = next.key.m_context;
        m_current = next.key.m_uid;
        next.impl->Invoke();
        next.impl->Unref();
    }

    std::list<ns3::EventId> m_atDestroy;
    ns3::Ptr<ns3::Scheduler> m_events;
    bool m_stopped = false;
    uint32_t m_uid = 4; // those below are ns3::EventId's own
    uint32_t m_current = 0;
    uint32_t m_context = 0xffffffff; // of no node
    uint64_t m_now = 0;
    uint64_t m_count = 0;
};

} // namespace simcore

#endif
