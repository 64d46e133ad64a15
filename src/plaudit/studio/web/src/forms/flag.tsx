// Whether a constraint is violated, how badly, and where.
import { useSignals } from "../effects";
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { define, translate } from "../i18n";
import { Items, nameOf } from "../label/items";
import { Key } from "../label/key";
import { useKeys } from "../label/keys";
import { t as shared } from "../label/words";
import { joined, Passages, type Span, Stretch, Where } from "../parts/span";
import { SubmitRow } from "../parts/submit";
import { type FormProps, useDraft } from "./form";

export const words = define({
  en: {
    title: "Does it violate “{constraint}”?",
    severity: "How badly",
    "severity.0": "not at all",
    "severity.1": "slightly",
    "severity.2": "somewhat",
    "severity.3": "badly",
    "severity.4": "in the worst way",
  },
  zh: {
    title: "它是否违反了“{constraint}”？",
    severity: "严重程度",
    "severity.0": "没有违反",
    "severity.1": "轻微",
    "severity.2": "中等",
    "severity.3": "严重",
    "severity.4": "极其严重",
  },
});

const t = translate(words);
const SEVERITIES = [0, 1, 2, 3, 4] as const;
interface Draft {
  severity: number | null;
  span: Span | null;
}

export default function FlagForm(props: FormProps) {
  const { question, player, ready, submit } = props;
  const [draft, setDraft] = useDraft<Draft>(props, { severity: null, span: null });
  const selected = useSignal<Span | null>(draft.span);
  const now = useRef(draft);
  now.current = draft;
  useSignals(() => {
    const span = selected.value;
    if (span !== now.current.span) setDraft({ ...now.current, span });
  });
  const item = question.items[0];
  const text = item?.text ? joined(item.text.completion) : null;
  const pick = (severity: number) => setDraft({ ...now.current, severity });
  useKeys(
    () => SEVERITIES.map((severity) => ({ id: `severity-${severity}`, keys: [String(severity)], label: { text: t(`severity.${severity}`) }, run: () => pick(severity) })),
    [],
  );
  const give = () => {
    const span = draft.severity && draft.span ? { start: draft.span.start, end: draft.span.end } : {};
    submit({ severity: (draft.severity ?? 0) / 4, ...span });
  };
  return (
    <>
      <Items
        {...props}
        {...(item && text !== null ? { completion: () => <Passages turns={item.text?.completion ?? []} label={nameOf(item, 0, 1)} marks={[]} selected={selected} /> } : {})}
      />
      <div class="answers scale words" role="group" aria-label={t("severity")}>
        {SEVERITIES.map((severity) => (
          <button key={severity} type="button" data-severity={severity} disabled={!ready} aria-pressed={draft.severity === severity} onClick={() => pick(severity)}>
            <span>{t(`severity.${severity}`)}</span><Key id={`severity-${severity}`} keys={[String(severity)]} />
          </button>
        ))}
      </div>
      {draft.severity ? (
        <div class="card spans">
          <p class="muted">{text === null ? shared("span.help-clip") : shared("span.help-text")}</p>
          {text === null ? <Stretch player={player} selected={selected} /> : null}
          <Where selected={selected} text={text} />
        </div>
      ) : null}
      <SubmitRow ready={ready && draft.severity !== null} submit={give} />
    </>
  );
}
