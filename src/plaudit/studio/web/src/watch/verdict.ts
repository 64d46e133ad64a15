// The outcome in one sentence. English is the report's own; Chinese is made of the same numbers by the same cases
// (src/plaudit/report/verdict.py).
import { written } from "../charts/format";
import { language } from "../i18n";
import type { Summary } from "./contract";

export function verdict(run: Summary): string {
  if (language.value === "en") return run.verdict;
  const { check, ask } = run;
  const planned = run.rounds_planned;
  const sofar = planned !== undefined && run.rounds_done < planned ? `已完成 ${run.rounds_done} 轮（共 ${planned} 轮）：` : "";
  const cost = `${written(ask.answered, "count")} 个回答${time(run)}`;
  if (!check.returns) return `${sofar}尚未测量；目前共有 ${cost}。`;
  const value = written(check.returns.value, "return");
  if (check.return_random === undefined) return `${sofar}在 ${cost}之后，智能体的回报为 ${value}；没有测量参照。`;
  const random = written(check.return_random, "return");
  if (check.returns.low !== undefined && check.returns.low <= check.return_random) {
    return `${sofar}在 ${cost}之后，智能体与随机动作没有区别：回报 ${value}，随机为 ${random}。`;
  }
  if (check.fraction) return `${sofar}在 ${cost}之后，智能体走完了从随机到参照的 ${written(check.fraction.value, "percent")}。`;
  return `${sofar}在 ${cost}之后，智能体的回报从 ${random}（随机动作）升至 ${value}。`;
}

function time({ ask }: Summary): string {
  if (ask.human_seconds !== undefined) return `（人工用时 ${minutes(ask.human_seconds)}）`;
  if (ask.simulated_seconds !== undefined) return `（来自模拟教师；由人回答约需 ${minutes(ask.simulated_seconds)}）`;
  return ask.answered && !ask.people ? "（来自模拟教师）" : "";
}

function minutes(seconds: number): string {
  if (seconds < 60) return `${Math.round(seconds)} 秒`;
  return seconds < 5400 ? `${(seconds / 60).toFixed(1)} 分钟` : `${(seconds / 3600).toFixed(1)} 小时`;
}
